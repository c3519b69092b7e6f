package peers;

import java.math.BigDecimal;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.streams.processor.TimestampExtractor;

/**
 * What the whole job needs of an event of any kind; or, with {@code fault}, why it is none, and its bytes.
 *
 * @param kind what the amount is: cost, revenue, or price of an hour (may be null there)
 * @param timestamp milliseconds since 1970
 * @param amount exact
 * @param use share of a resource that was used, 0 to 1
 */
record Event(Kind kind, long timestamp, String unit, String currency, String service, BigDecimal amount, String resource,
        String type, double use, String fault, byte[] raw) {

    /** The kinds of events, by the name of their amount. */
    enum Kind {
        COST("cost_amount"), BUSINESS("revenue_impact"), RESOURCE("cost_estimate");

        final String amount;

        Kind(String amount) {
            this.amount = amount;
        }
    }

    static Event broken(String fault, byte[] raw) {
        return new Event(null, Times.NONE, null, null, null, null, null, null, 0, fault, raw);
    }

    /** Event time. What can't be read has the time of what came before, so that nothing closes because of it. */
    static final class Time implements TimestampExtractor {
        @Override
        public long extract(ConsumerRecord<Object, Object> record, long partitionTime) {
            boolean known = record.value() instanceof Event event && event.fault() == null;
            return known ? ((Event) record.value()).timestamp() : Math.max(partitionTime, 0);
        }
    }
}
