package peers;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Locale;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.serialization.Deserializer;

/** Reads and checks an event in one pass over its JSON. It never fails: what is wrong is in the event's fault. */
final class EventReader implements Deserializer<Event> {
    private static final String UNALLOCATED = "unallocated";
    private static final byte[] VERSION = {'1'};
    private static final long FAR_FUTURE_MS = 2 * 86_400_000L;
    private static final int LONGEST = 4_096;
    private static final int LONGEST_METADATA = 65_536;
    private static final int SCALE = 12;
    private static final int DIGITS = 38;

    private final JsonFactory json = Json.readers();
    private final Event.Kind kind;

    private String fault;
    private long timestamp;
    private long observed;
    private boolean identified;
    private String unit;
    private String currency;
    private String service;
    private String resource;
    private String type;
    private BigDecimal amount;
    private double use;

    EventReader(Event.Kind kind) {
        this.kind = kind;
    }

    @Override
    public Event deserialize(String topic, byte[] value) {
        return deserialize(topic, null, value);
    }

    @Override
    public Event deserialize(String topic, Headers headers, byte[] value) {
        if (value == null || value.length == 0) {
            return Event.broken("the value is null or empty", value);
        }
        Header version = headers == null ? null : headers.lastHeader("schema_version");
        if (version == null || !Arrays.equals(version.value(), VERSION)) {
            return Event.broken("no schema_version 1 in the header", value);
        }
        forget();
        try (JsonParser parser = json.createParser(value)) {
            if (parser.nextToken() != JsonToken.START_OBJECT) {
                return Event.broken("the value is no JSON object", value);
            }
            readFields(parser);
            if (parser.nextToken() != null) {
                return Event.broken("the value is more than a JSON object", value);
            }
        } catch (IOException error) {
            return Event.broken("the value is no valid JSON", value);
        }
        check();
        return fault != null ? Event.broken(fault, value)
                : new Event(kind, timestamp, unit == null ? UNALLOCATED : unit, currency, service, amount, resource, type,
                        use, null, null);
    }

    private void forget() {
        fault = null;
        timestamp = Times.NONE;
        observed = Times.NONE;
        identified = false;
        unit = null;
        currency = null;
        service = null;
        resource = null;
        type = null;
        amount = null;
        use = -1;
    }

    private void readFields(JsonParser parser) throws IOException {
        for (String name = parser.nextFieldName(); name != null; name = parser.nextFieldName()) {
            JsonToken token = parser.nextToken();
            switch (name) {
                case "event_id" -> identified = length(parser, token, name, LONGEST) > 0;
                case "timestamp" -> timestamp = time(parser, token, name);
                case "observed_at" -> observed = time(parser, token, name);
                case "business_unit" -> unit = text(parser, token, name);
                case "currency" -> currency = text(parser, token, name);
                case "service" -> service = text(parser, token, name);
                case "resource_id" -> resource = text(parser, token, name);
                case "resource_type" -> type = text(parser, token, name);
                case "utilization" -> use = share(parser, token);
                case "metadata" -> {
                    length(parser, token, name, LONGEST_METADATA);
                    parser.skipChildren();
                }
                case "event_type", "region", "project_id", "environment", "user_id", "feature", "action" ->
                        length(parser, token, name, LONGEST);
                default -> {
                    if (name.equals(kind.amount)) {
                        amount = amount(parser, token);
                    } else {
                        parser.skipChildren();
                    }
                }
            }
        }
    }

    private void check() {
        if (fault != null) {
            return;
        }
        if (!identified) {
            fault = "event_id is missing";
        } else if (timestamp == Times.NONE) {
            fault = "timestamp is missing";
        } else if (kind != Event.Kind.RESOURCE && amount == null) {
            fault = kind.amount + " is missing";
        } else if (kind == Event.Kind.RESOURCE && use < 0) {
            fault = "utilization is missing";
        } else if (currency == null) {
            fault = "currency is missing";
        } else if (!isCurrency()) {
            fault = "currency is not a code of three letters";
        } else if (timestamp > (observed == Times.NONE ? System.currentTimeMillis() : observed) + FAR_FUTURE_MS) {
            fault = "timestamp is more than 2 days after it was observed";
        }
    }

    private boolean isCurrency() {
        if (currency.length() != 3) {
            return false;
        }
        boolean upper = true;
        for (int at = 0; at < 3; at++) {
            char letter = currency.charAt(at);
            upper &= letter >= 'A' && letter <= 'Z';
            if (!(letter >= 'A' && letter <= 'Z' || letter >= 'a' && letter <= 'z')) {
                return false;
            }
        }
        currency = upper ? currency : currency.toUpperCase(Locale.ROOT);
        return true;
    }

    /** Length of a text; 0 for null. A text that is too long is a fault. */
    private int length(JsonParser parser, JsonToken token, String name, int longest) throws IOException {
        if (token != JsonToken.VALUE_STRING) {
            return token == JsonToken.VALUE_NULL ? 0 : 1;
        }
        int length = parser.getTextLength();
        if (length > longest / 3 && parser.getText().getBytes(StandardCharsets.UTF_8).length > longest) {
            fault = name + " is longer than " + longest + " bytes";
        }
        return length;
    }

    private String text(JsonParser parser, JsonToken token, String name) throws IOException {
        if (token == JsonToken.VALUE_NULL) {
            return null;
        }
        if (token != JsonToken.VALUE_STRING && !token.isScalarValue()) {
            fault = name + " is no text";
            parser.skipChildren();
            return null;
        }
        length(parser, token, name, LONGEST);
        String text = parser.getText();
        boolean clean = !text.isEmpty() && text.charAt(0) > ' ' && text.charAt(text.length() - 1) > ' ';
        String stripped = clean ? text : text.strip();
        return stripped.isEmpty() ? null : stripped;
    }

    private long time(JsonParser parser, JsonToken token, String name) throws IOException {
        if (token == JsonToken.VALUE_NULL) {
            return Times.NONE;
        }
        long millis = token == JsonToken.VALUE_STRING
                ? Times.read(parser.getTextCharacters(), parser.getTextOffset(), parser.getTextLength())
                : Times.NONE;
        if (millis == Times.NONE) {
            fault = name + " is not an ISO 8601 time with a zone";
            parser.skipChildren();
        }
        return millis;
    }

    private BigDecimal amount(JsonParser parser, JsonToken token) throws IOException {
        if (token == JsonToken.VALUE_NULL) {
            return null;
        }
        try {
            if (!token.isScalarValue()) {
                throw new NumberFormatException();
            }
            BigDecimal read =
                    new BigDecimal(parser.getTextCharacters(), parser.getTextOffset(), parser.getTextLength());
            if (read.precision() - read.scale() > DIGITS - SCALE) {
                fault = kind.amount + " is too large";
            } else if (read.scale() > SCALE && read.stripTrailingZeros().scale() > SCALE) {
                fault = kind.amount + " has more than " + SCALE + " digits after the point";
            }
            return read.scale() > SCALE && fault == null ? read.setScale(SCALE) : read;
        } catch (NumberFormatException error) {
            fault = kind.amount + " is not a number";
            parser.skipChildren();
            return null;
        }
    }

    private double share(JsonParser parser, JsonToken token) throws IOException {
        if (token == JsonToken.VALUE_NULL) {
            return -1;
        }
        try {
            double read = token.isScalarValue() ? Double.parseDouble(parser.getText()) : Double.NaN;
            if (read >= 0 && read <= 1) {
                return read;
            }
        } catch (NumberFormatException error) {
            // said below
        }
        fault = "utilization is not a share between 0 and 1";
        parser.skipChildren();
        return -1;
    }
}
