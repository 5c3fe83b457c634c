# The sink as an image: a virtual environment of locked dependencies and the wheel, run by an ordinary user.
#   docker build -t kafka-timescale-sink .
#   docker run --read-only --tmpfs /tmp --cap-drop ALL --volume sink-state:/var/lib/sink --publish 8080:8080 \
#       --env-file sink.env --stop-timeout 45 kafka-timescale-sink run

FROM python:3.13-slim-trixie AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore UV_NO_CACHE=1 UV_COMPILE_BYTECODE=1
WORKDIR /build
COPY requirements/ requirements/
RUN python -m pip install --require-hashes -r requirements/bootstrap.txt
RUN uv venv --python /usr/local/bin/python3 /opt/sink \
    && uv pip install --python /opt/sink/bin/python --require-hashes -r requirements/production.txt
# The code last: the layers above stay as they are while only it changes.
COPY pyproject.toml README.md LICENSE ./
COPY migrations/ migrations/
COPY schemas/ schemas/
COPY sink/ sink/
RUN uv build --wheel --build-constraints requirements/dev.txt --require-hashes --out-dir dist \
    && uv pip install --python /opt/sink/bin/python --no-deps dist/*.whl

FROM python:3.13-slim-trixie
LABEL org.opencontainers.image.title="kafka-timescale-sink" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/sink /opt/sink
COPY deploy/image/alive.py /opt/sink/alive.py
# What the sink must remember if a message ends its process. A new volume takes its owner from here.
RUN install -d -o 10001 -g 10001 -m 0750 /var/lib/sink
# No bytecode and no buffering: the root file system may be read-only, and a log line leaves when it is written.
ENV PATH=/opt/sink/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    SINK_LOG__FORMAT=json SINK_HTTP__HOST=0.0.0.0 SINK_STATE_DIRECTORY=/var/lib/sink
# By number, so that Kubernetes can see that it is not root; there is no account and no home behind it.
USER 10001:10001
WORKDIR /tmp
# Metrics, health and the page of `sink run`.
EXPOSE 8080
# Only `sink run` has something to ask; other commands have ended before the first question counts.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-I", "/opt/sink/alive.py"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["sink"]
CMD ["--help"]
