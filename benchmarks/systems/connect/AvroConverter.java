package benchmarks;

import java.io.File;
import java.io.IOException;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.avro.LogicalTypes;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.connect.data.Decimal;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.errors.DataException;
import org.apache.kafka.connect.storage.Converter;

/**
 * Reads Avro behind the registry's five-byte header with the one schema in the file `schema.file`, which spares Connect
 * the registry; `columns` names the fields that become columns. Times become Debezium's ZonedTimestamp, the only form
 * that its JDBC sink writes to the microsecond both with and without UNNEST.
 */
public final class AvroConverter implements Converter {
    private static final int HEADER = 5;
    private static final long MICROS = 1_000_000L;

    private final List<Column> columns = new ArrayList<>();
    private GenericDatumReader<GenericRecord> reader;
    private Schema schema;
    private GenericRecord reused;
    private BinaryDecoder decoder;

    @Override
    public ConfigDef config() {
        return new ConfigDef();
    }

    @Override
    public void configure(Map<String, ?> settings, boolean isKey) {
        org.apache.avro.Schema avro;
        try {
            avro = new org.apache.avro.Schema.Parser().parse(new File((String) settings.get("schema.file")));
        } catch (IOException error) {
            throw new DataException("the Avro schema cannot be read", error);
        }
        reader = new GenericDatumReader<>(avro);
        SchemaBuilder builder = SchemaBuilder.struct().name(avro.getFullName());
        for (String name : ((String) settings.get("columns")).split(",")) {
            Column column = Column.of(avro.getField(name), columns.size());
            columns.add(column);
            builder.field(name, column.schema);
        }
        schema = builder.build();
    }

    @Override
    public byte[] fromConnectData(String topic, Schema given, Object value) {
        throw new DataException("this converter only reads");
    }

    @Override
    public SchemaAndValue toConnectData(String topic, byte[] value) {
        if (value == null) {
            return SchemaAndValue.NULL;
        }
        decoder = DecoderFactory.get().binaryDecoder(value, HEADER, value.length - HEADER, decoder);
        try {
            reused = reader.read(reused, decoder);
        } catch (IOException error) {
            throw new DataException("a message is not Avro of the schema", error);
        }
        Struct row = new Struct(schema);
        List<org.apache.kafka.connect.data.Field> fields = schema.fields();
        for (int index = 0; index < columns.size(); index++) {
            Column column = columns.get(index);
            row.put(fields.get(index), column.value(reused.get(column.position)));
        }
        return new SchemaAndValue(schema, row);
    }

    private enum Kind { TEXT, PLAIN, TIME, AMOUNT }

    private static final class Column {
        private final int position;
        private final Kind kind;
        private final int scale;
        private final Schema schema;

        private Column(int position, Kind kind, int scale, Schema schema) {
            this.position = position;
            this.kind = kind;
            this.scale = scale;
            this.schema = schema;
        }

        private static Column of(org.apache.avro.Schema.Field field, int index) {
            org.apache.avro.Schema type = field.schema();
            boolean optional = type.isUnion();
            if (optional) {
                type = type.getTypes().get(type.getTypes().get(0).getType() == org.apache.avro.Schema.Type.NULL ? 1 : 0);
            }
            int scale = type.getLogicalType() instanceof LogicalTypes.Decimal decimal ? decimal.getScale() : 0;
            Kind kind = switch (type.getType()) {
                case STRING -> Kind.TEXT;
                case BYTES -> Kind.AMOUNT;
                case LONG -> type.getLogicalType() == null ? Kind.PLAIN : Kind.TIME;
                default -> Kind.PLAIN;
            };
            SchemaBuilder made = switch (kind) {
                case TEXT -> SchemaBuilder.string();
                case AMOUNT -> Decimal.builder(scale);
                case TIME -> SchemaBuilder.string().name("io.debezium.time.ZonedTimestamp").version(1);
                case PLAIN -> type.getType() == org.apache.avro.Schema.Type.BOOLEAN ? SchemaBuilder.bool() : SchemaBuilder.int64();
            };
            return new Column(field.pos(), kind, scale, (optional ? made.optional() : made).build());
        }

        private Object value(Object read) {
            if (read == null) {
                return null;
            }
            return switch (kind) {
                case TEXT -> read.toString();
                case PLAIN -> read;
                case TIME -> time((Long) read);
                case AMOUNT -> amount((ByteBuffer) read);
            };
        }

        private static String time(long micros) {
            return Instant.ofEpochSecond(Math.floorDiv(micros, MICROS), Math.floorMod(micros, MICROS) * 1_000L).toString();
        }

        private BigDecimal amount(ByteBuffer bytes) {
            byte[] copy = new byte[bytes.remaining()];
            bytes.duplicate().get(copy);
            return new BigDecimal(new BigInteger(copy), scale);
        }
    }
}
