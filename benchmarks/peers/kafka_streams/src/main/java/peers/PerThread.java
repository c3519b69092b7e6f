package peers;

import java.util.function.Supplier;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.serialization.Deserializer;

/** A deserializer of its own for each thread: Kafka Streams hands one to all, and those here keep buffers. */
final class PerThread<T> implements Deserializer<T> {
    private final ThreadLocal<Deserializer<T>> own;

    PerThread(Supplier<Deserializer<T>> make) {
        own = ThreadLocal.withInitial(make);
    }

    @Override
    public T deserialize(String topic, byte[] value) {
        return own.get().deserialize(topic, value);
    }

    @Override
    public T deserialize(String topic, Headers headers, byte[] value) {
        return own.get().deserialize(topic, headers, value);
    }
}
