package peers;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.math.BigDecimal;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.processor.TimestampExtractor;

/** What the sum needs of a cost event, read in one pass over its JSON. */
record Cost(long timestamp, String currency, BigDecimal amount) {
    /** Null for what is no cost event. Nothing is ever written: the sum passes no events on. */
    static Serde<Cost> serde() {
        return Serdes.serdeFrom((topic, cost) -> {
            throw new UnsupportedOperationException("cost events are read only");
        }, new PerThread<>(Reader::new));
    }

    private static final class Reader implements Deserializer<Cost> {
        private final JsonFactory json = Json.readers();
        private String lastCurrency = "";

        @Override
        public void configure(Map<String, ?> settings, boolean isKey) {}

        @Override
        public Cost deserialize(String topic, byte[] value) {
            if (value == null) {
                return null;
            }
            try (JsonParser parser = json.createParser(value)) {
                return parser.nextToken() == JsonToken.START_OBJECT ? read(parser) : null;
            } catch (IOException | NumberFormatException error) {
                return null;
            }
        }

        private Cost read(JsonParser parser) throws IOException {
            long timestamp = Times.NONE;
            String currency = null;
            BigDecimal amount = null;
            for (String name = parser.nextFieldName(); name != null; name = parser.nextFieldName()) {
                JsonToken token = parser.nextToken();
                boolean text = token == JsonToken.VALUE_STRING;
                switch (name) {
                    case "timestamp" -> timestamp = text
                            ? Times.read(parser.getTextCharacters(), parser.getTextOffset(), parser.getTextLength())
                            : Times.NONE;
                    case "currency" -> currency = text ? currency(parser) : null;
                    case "cost_amount" -> amount = text
                            ? new BigDecimal(
                                    parser.getTextCharacters(), parser.getTextOffset(), parser.getTextLength())
                            : null;
                    default -> parser.skipChildren();
                }
            }
            return timestamp < 0 || currency == null || amount == null ? null : new Cost(timestamp, currency, amount);
        }

        /** Mostly the same as before: no new string for it. */
        private String currency(JsonParser parser) throws IOException {
            int length = parser.getTextLength();
            boolean same = length == lastCurrency.length();
            for (int at = 0; same && at < length; at++) {
                same = parser.getTextCharacters()[parser.getTextOffset() + at] == lastCurrency.charAt(at);
            }
            if (!same) {
                lastCurrency = parser.getText();
            }
            return lastCurrency;
        }
    }

    /** Event time. What can't be read has the time of what came before, so that nothing closes because of it. */
    static final class Time implements TimestampExtractor {
        @Override
        public long extract(ConsumerRecord<Object, Object> record, long partitionTime) {
            return record.value() instanceof Cost cost ? cost.timestamp() : partitionTime;
        }
    }
}
