package peers;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.state.WindowStore;

/** The five-minute sum of costs by business unit and currency, exactly; the last record of a window counts. */
public final class Sum {
    private static final Duration WINDOW = Duration.ofMinutes(5);

    private Sum() {}

    static Topology topology(Options options) {
        StreamsBuilder builder = new StreamsBuilder();
        // The key stays bytes: it is the business unit already, so nothing has to move to another partition, and the
        // currencies of a unit are kept apart in the window's value.
        builder.stream(options.input("finops.cost.events"),
                        Consumed.with(Serdes.Bytes(), Cost.serde()).withTimestampExtractor(new Cost.Time()))
                .groupByKey(Grouped.with(Serdes.Bytes(), Cost.serde()))
                .windowedBy(TimeWindows.ofSizeAndGrace(WINDOW, Duration.ofHours(options.graceHours())))
                .aggregate(Totals::new, (unit, cost, totals) -> totals.add(cost),
                        Materialized.<Bytes, Totals, WindowStore<Bytes, byte[]>>as("sums")
                                .withKeySerde(Serdes.Bytes()).withValueSerde(Totals.serde()).withCachingEnabled())
                .toStream()
                .flatMap(Sum::records)
                .to(options.output("finops.cost.aggregations"), Produced.with(Serdes.Bytes(), Serdes.ByteArray()));
        return builder.build();
    }

    private static Iterable<KeyValue<Bytes, byte[]>> records(Windowed<Bytes> window, Totals totals) {
        List<KeyValue<Bytes, byte[]>> records = new ArrayList<>(1);
        String unit = Json.quoted(new String(window.key().get(), StandardCharsets.UTF_8));
        String start = Times.write(window.window().start());
        for (Totals.Total total : totals.byCurrency) {
            String json = "{\"business_unit\":" + unit + ",\"currency\":" + Json.quoted(total.currency)
                    + ",\"window_start\":\"" + start + "\",\"total_cost\":\"" + total.sum.toPlainString()
                    + "\",\"events\":" + total.events + "}";
            records.add(KeyValue.pair(window.key(), json.getBytes(StandardCharsets.UTF_8)));
        }
        return records;
    }

    public static void main(String[] args) throws InterruptedException {
        Options options = new Options(args);
        Runner.run(topology(options), Runner.tuned(options));
    }
}
