package peers;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.io.JsonStringEncoder;
import com.fasterxml.jackson.core.util.BufferRecycler;
import com.fasterxml.jackson.core.util.RecyclerPool;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;

/** Reading and writing JSON without a tree. */
final class Json {
    private Json() {}

    /** Parsers for one thread, one at a time: they share their buffers without a look-up by thread for each event. */
    static JsonFactory readers() {
        return JsonFactory.builder().recyclerPool(new OnePool()).build();
    }

    private static final class OnePool implements RecyclerPool<BufferRecycler> {
        private static final long serialVersionUID = 1;
        private final transient BufferRecycler one = new BufferRecycler();

        @Override
        public BufferRecycler acquireAndLinkPooled() {
            return one;
        }

        @Override
        public BufferRecycler acquirePooled() {
            return one;
        }

        @Override
        public void releasePooled(BufferRecycler recycler) {}
    }

    /** The text in quotes, with what JSON wants escaped; {@code null} for null. */
    static String quoted(String text) {
        if (text == null) {
            return "null";
        }
        StringBuilder quoted = new StringBuilder(text.length() + 2).append('"');
        JsonStringEncoder.getInstance().quoteAsString(text, quoted);
        return quoted.append('"').toString();
    }

    /** Writes one object. */
    static final class Line {
        private final StringBuilder text = new StringBuilder(384).append('{');

        Line text(String name, String value) {
            return raw(name, quoted(value));
        }

        Line money(String name, BigDecimal value) {
            return raw(name, value == null ? "null" : '"' + value.toPlainString() + '"');
        }

        Line number(String name, double value) {
            return raw(name, Double.isFinite(value) ? Double.toString(value) : "null");
        }

        Line number(String name, long value) {
            return raw(name, Long.toString(value));
        }

        Line flag(String name, boolean value) {
            return raw(name, Boolean.toString(value));
        }

        Line time(String name, long millis) {
            return raw(name, '"' + Times.write(millis) + '"');
        }

        Line raw(String name, String json) {
            text.append(text.length() > 1 ? ",\"" : "\"").append(name).append("\":").append(json);
            return this;
        }

        byte[] bytes() {
            return text.append('}').toString().getBytes(StandardCharsets.UTF_8);
        }
    }
}
