{{- define "sink.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- /* Short enough that "-oi-snapshots" and a hash of a ReplicaSet still fit into 63 characters. */ -}}
{{- define "sink.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "sink.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "sink.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /* Of a dict with root and dataset: names of objects know no underscore. */ -}}
{{- define "sink.datasetName" -}}
{{- printf "%s-%s" (include "sink.fullname" .root) (.dataset | replace "_" "-") -}}
{{- end -}}

{{- define "sink.selector" -}}
app.kubernetes.io/name: {{ include "sink.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "sink.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "sink.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "sink.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- define "sink.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "sink.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- /* Numbers of YAML arrive as floating point: 16777216 must not become 1.6777216e+07. */ -}}
{{- define "sink.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}
{{- printf "%.0f" . -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end -}}

{{- /* Of a dict with root and dataset: this dataset's value of a name, else everybody's. */ -}}
{{- define "sink.of" -}}
{{- $own := index (index .root.Values.datasets .dataset) .name -}}
{{- if kindIs "invalid" $own -}}
{{- include "sink.text" (index .root.Values .name) -}}
{{- else -}}
{{- include "sink.text" $own -}}
{{- end -}}
{{- end -}}

{{- /* Of a dict with root and dataset: the settings in force as JSON. */ -}}
{{- define "sink.settings" -}}
{{- $own := dict -}}
{{- if .dataset -}}
{{- $own = (index .root.Values.datasets .dataset).settings | default dict -}}
{{- end -}}
{{- mergeOverwrite (deepCopy .root.Values.settings) $own | toJson -}}
{{- end -}}

{{- /* Of a dict with root and dataset: seconds from SIGTERM until the sink has certainly ended by itself. */ -}}
{{- define "sink.gracePeriod" -}}
{{- $settings := include "sink.settings" . | fromJson -}}
{{- $timeout := index $settings "SINK_SHUTDOWN_TIMEOUT" | default 25 -}}
{{- add .root.Values.preStopSeconds (ceil $timeout) 15 -}}
{{- end -}}

{{- define "sink.secretName" -}}
{{- .Values.secrets.existingSecret | default (include "sink.fullname" .) -}}
{{- end -}}

{{- /* Secrets of a Secret as JSON: setting to key. */ -}}
{{- define "sink.secretKeys" -}}
{{- if .Values.secrets.existingSecret -}}
{{- .Values.secrets.keys | toJson -}}
{{- else -}}
{{- $keys := dict -}}
{{- range $name, $_ := .Values.secrets.values -}}
{{- $_ := set $keys $name $name -}}
{{- end -}}
{{- $keys | toJson -}}
{{- end -}}
{{- end -}}

{{- /* Where each secret of a pod stands, as JSON: setting to path. */ -}}
{{- define "sink.secretFiles" -}}
{{- $files := deepCopy .Values.secrets.files -}}
{{- range $name, $_ := include "sink.secretKeys" . | fromJson -}}
{{- $_ := set $files $name (printf "/run/secrets/sink/%s" $name) -}}
{{- end -}}
{{- $files | toJson -}}
{{- end -}}

{{- /* What would start and then not work, told before anything is installed. */ -}}
{{- define "sink.validate" -}}
{{- if not (index .Values.settings "SINK_KAFKA__BOOTSTRAP_SERVERS") -}}
{{- fail "settings.SINK_KAFKA__BOOTSTRAP_SERVERS is missing: name the brokers, for example kafka-1:9092,kafka-2:9092" -}}
{{- end -}}
{{- if and .Values.secrets.existingSecret .Values.secrets.values -}}
{{- fail "secrets.existingSecret and secrets.values are both given: keep one of them" -}}
{{- end -}}
{{- if not (hasKey (include "sink.secretFiles" . | fromJson) "DATABASE_URL") -}}
{{- fail "the database's URL is missing: name a Secret that holds it (secrets.existingSecret, secrets.keys.DATABASE_URL), a file (secrets.files.DATABASE_URL), or, to try things out, give it as secrets.values.DATABASE_URL" -}}
{{- end -}}
{{- $enabled := 0 -}}
{{- range $dataset, $own := .Values.datasets -}}
{{- $of := dict "root" $ "dataset" $dataset -}}
{{- if ne $own.enabled false -}}
{{- $enabled = add1 $enabled -}}
{{- $replicas := include "sink.of" (merge (dict "name" "replicas") $of) | int -}}
{{- $partitions := include "sink.of" (merge (dict "name" "partitions") $of) | int -}}
{{- if gt $replicas $partitions -}}
{{- fail (printf "%s has %d replicas for %d partitions, so that %d of them would be idle: lower replicas, or say how many partitions its topic has" $dataset $replicas $partitions (sub $replicas $partitions)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not $enabled -}}
{{- fail "every dataset is disabled: there is nothing to run" -}}
{{- end -}}
{{- if and .Values.monitoring.serviceMonitor.enabled .Values.monitoring.podMonitor.enabled -}}
{{- fail "monitoring.serviceMonitor and monitoring.podMonitor are both enabled, so that everything would be scraped twice: keep one of them" -}}
{{- end -}}
{{- end -}}

{{- define "sink.restricted" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "sink.confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- /* Environment of a container. Of a dict with root, and dataset where it is one dataset's; migrator: its login. */ -}}
{{- define "sink.env" -}}
{{- $root := .root -}}
{{- $files := include "sink.secretFiles" $root | fromJson -}}
{{- $database := index $files "DATABASE_URL" -}}
{{- if and .migrator (hasKey $files "MIGRATOR_DATABASE_URL") -}}
{{- $database = index $files "MIGRATOR_DATABASE_URL" -}}
{{- end -}}
- name: DATABASE_URL_FILE
  value: {{ $database }}
{{- range $name, $value := include "sink.settings" . | fromJson }}
- name: {{ $name }}
  value: {{ include "sink.text" $value | quote }}
{{- end }}
{{- range $name, $file := omit $files "DATABASE_URL" "MIGRATOR_DATABASE_URL" }}
- name: {{ $name }}_FILE
  value: {{ $file }}
{{- end }}
- name: SINK_HTTP__HOST
  value: 0.0.0.0
- name: SINK_HTTP__PORT
  value: "8080"
- name: SINK_STATE_DIRECTORY
  value: /var/lib/sink
{{- if and .dataset $root.Values.staticMembership.enabled }}
- name: SINK_KAFKA__GROUP_INSTANCE_ID
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
{{- end }}
{{- with $root.Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "sink.volumeMounts" -}}
- name: tmp
  mountPath: /tmp
- name: state
  mountPath: /var/lib/sink
{{- if include "sink.secretKeys" . | fromJson }}
- name: secrets
  mountPath: /run/secrets/sink
  readOnly: true
{{- end }}
{{- if .Values.certificates.existingSecret }}
- name: certificates
  mountPath: /etc/sink/certificates
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* Of a dict with root; secret, the name of the Secret; migrator where its login belongs there, and nowhere else. */ -}}
{{- define "sink.volumes" -}}
{{- $root := .root -}}
- name: tmp
  emptyDir:
    sizeLimit: 256Mi
# Outlives the container, which is what a message that ends the process ends.
- name: state
  emptyDir:
    sizeLimit: 16Mi
{{- $keys := include "sink.secretKeys" $root | fromJson }}
{{- if not .migrator }}
{{- $keys = omit $keys "MIGRATOR_DATABASE_URL" }}
{{- end }}
{{- if $keys }}
- name: secrets
  secret:
    secretName: {{ .secret }}
    defaultMode: 0440
    items:
      {{- range $name, $key := $keys }}
      - key: {{ $key }}
        path: {{ $name }}
      {{- end }}
{{- end }}
{{- with $root.Values.certificates.existingSecret }}
- name: certificates
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- with $root.Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* Where and as whom every pod runs. */ -}}
{{- define "sink.pod" -}}
# Services whose name begins with sink- would otherwise appear among the settings.
enableServiceLinks: false
automountServiceAccountToken: false
securityContext:
  {{- include "sink.restricted" . | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* A Job that Helm runs as a hook. Of a dict with root, name, arguments, weight, resources. */ -}}
{{- define "sink.job" -}}
{{- $root := .root -}}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ include "sink.fullname" $root }}-{{ .name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "sink.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
  annotations:
    helm.sh/hook: pre-install,pre-upgrade
    helm.sh/hook-weight: {{ .weight | quote }}
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  backoffLimit: 3
  activeDeadlineSeconds: {{ $root.Values.migration.activeDeadlineSeconds }}
  template:
    metadata:
      labels:
        {{- include "sink.selector" $root | nindent 8 }}
        app.kubernetes.io/component: {{ .component }}
    spec:
      {{- include "sink.pod" $root | nindent 6 }}
      # The chart's own account does not exist yet while hooks run before an install.
      serviceAccountName: {{ $root.Values.serviceAccount.create | ternary "default" (include "sink.serviceAccountName" $root) }}
      restartPolicy: Never
      containers:
        - name: {{ .component }}
          image: {{ include "sink.image" $root }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: {{ .arguments | toJson }}
          env:
            {{- include "sink.env" (dict "root" $root "migrator" .migrator) | nindent 12 }}
          resources:
            {{- toYaml $root.Values.migration.resources | nindent 12 }}
          securityContext:
            {{- include "sink.confined" $root | nindent 12 }}
          volumeMounts:
            {{- include "sink.volumeMounts" $root | nindent 12 }}
      volumes:
        {{- include "sink.volumes" (dict "root" $root "migrator" .migrator "secret" (include "sink.hookSecretName" $root)) | nindent 8 }}
{{- end -}}

{{- /* Hooks run before the chart's own Secret exists, so they get one of their own. */ -}}
{{- define "sink.hookSecretName" -}}
{{- .Values.secrets.existingSecret | default (printf "%s-hooks" (include "sink.fullname" .)) -}}
{{- end -}}
