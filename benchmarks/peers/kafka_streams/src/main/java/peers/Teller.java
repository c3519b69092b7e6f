package peers;

import java.nio.charset.StandardCharsets;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.processor.api.RecordMetadata;

/** Sends outputs to the sinks, and what could not be read to the dead letters. */
final class Teller {
    static final String LETTERS = "letters";

    private static final byte[] VERSION = {'1'};

    private final ProcessorContext<byte[], byte[]> context;

    Teller(ProcessorContext<byte[], byte[]> context) {
        this.context = context;
    }

    /** One record of a business unit; {@code at} is its event time. */
    void tell(String sink, String unit, Json.Line line, long at) {
        Headers headers = new RecordHeaders().add("schema_version", VERSION);
        byte[] key = unit.getBytes(StandardCharsets.UTF_8);
        context.forward(new Record<>(key, line.bytes(), Math.max(at, 0), headers), sink);
    }

    /** The original bytes, with where they came from and what is wrong with them. */
    void bury(Record<byte[], Event> record) {
        RecordMetadata from = context.recordMetadata().orElseThrow();
        Headers headers = new RecordHeaders().add("schema_version", VERSION)
                .add("reason", bytes(record.value().fault())).add("topic", bytes(from.topic()))
                .add("partition", bytes(Integer.toString(from.partition())))
                .add("offset", bytes(Long.toString(from.offset())));
        context.forward(new Record<>(record.key(), record.value().raw(), record.timestamp(), headers), LETTERS);
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
