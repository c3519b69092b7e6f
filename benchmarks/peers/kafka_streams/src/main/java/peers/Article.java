package peers;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.time.Duration;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.format.DateTimeParseException;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Branched;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Named;
import org.apache.kafka.streams.kstream.Repartitioned;
import org.apache.kafka.streams.kstream.StreamJoined;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.processor.TimestampExtractor;
import org.apache.kafka.streams.processor.api.ContextualProcessor;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * The whole job in the manner of the article: text in and out, a tree parsed anew at each step, floating point, one
 * comparison an event, costs joined to revenues event by event. Default settings.
 *
 * <p>Costs are joined by resource and revenues by user, as the article keys them: they hardly ever meet. By unit each
 * cost would meet each revenue of an hour, which is what {@code --join-by unit} does.
 */
public final class Article {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final double SPIKE_FLOOR = 100;
    private static final double RETURN_FLOOR = 50;
    private static final Duration WINDOW = Duration.ofMinutes(5);
    private static final Duration NEAR = Duration.ofMinutes(30);
    private static final String AVERAGES = "cost-thresholds";
    private static final String USE = "resource-utilization";

    private Article() {}

    static Topology topology(Options options) {
        Duration grace = Duration.ofHours(options.graceHours());
        StreamsBuilder builder = new StreamsBuilder();
        builder.addStateStore(Stores.keyValueStoreBuilder(
                Stores.persistentKeyValueStore(AVERAGES), Serdes.String(), Serdes.Double()));
        builder.addStateStore(Stores.keyValueStoreBuilder(
                Stores.persistentKeyValueStore(USE), Serdes.String(), Serdes.Double()));
        KStream<String, String> costs = valid(builder, options, "finops.cost.events", "cost_amount");
        KStream<String, String> business = valid(builder, options, "finops.business.events", "revenue_impact");
        KStream<String, String> resources = valid(builder, options, "finops.resource.events", "utilization");

        costs.filter((unit, event) -> number(event, "cost_amount") > SPIKE_FLOOR)
                .process(Spikes::new, AVERAGES)
                .to(options.output("finops.cost.anomalies"));

        costs.groupBy((unit, event) -> unitAndCurrency(read(event)), Grouped.with("by-unit", Serdes.String(), Serdes.String()))
                .windowedBy(TimeWindows.ofSizeAndGrace(WINDOW, grace))
                .aggregate(() -> 0.0, (key, event, sum) -> sum + number(event, "cost_amount"),
                        Materialized.with(Serdes.String(), Serdes.Double()))
                .toStream()
                .map(Article::window)
                .to(options.output("finops.cost.aggregations"));

        KStream<String, String> significant = costs.filter((unit, event) -> number(event, "cost_amount") > RETURN_FLOOR);
        KStream<String, String> earning = business.filter((unit, event) -> number(event, "revenue_impact") > 0);
        if (!options.joinsByUnit()) {
            significant = keyed(significant, "resource_id");
            earning = keyed(earning, "user_id");
        }
        significant.join(earning, Article::returned, JoinWindows.ofTimeDifferenceWithNoGrace(NEAR),
                        StreamJoined.with(Serdes.String(), Serdes.String(), Serdes.String()))
                .to(options.output("finops.roi.calculations"));

        resources.process(Sizes::new, USE).to(options.output("finops.optimization.recommendations"));
        return builder.build();
    }

    /** The events of a topic; what is none goes to the dead letters, without a reason. */
    private static KStream<String, String> valid(StreamsBuilder builder, Options options, String topic, String amount) {
        KStream<String, String> all = builder.stream(options.input(topic));
        return all.split(Named.as(topic + "-"))
                .branch((unit, event) -> isEvent(event, amount), Branched.as("valid"))
                .defaultBranch(Branched.withConsumer(dead -> dead.to(options.input("finops.deadletter"))))
                .get(topic + "-valid");
    }

    private static KStream<String, String> keyed(KStream<String, String> events, String name) {
        return events.selectKey((unit, event) -> read(event).path(name).asText())
                .repartition(Repartitioned.<String, String>as("by-" + name));
    }

    private static JsonNode read(String event) {
        try {
            return JSON.readTree(event);
        } catch (JsonProcessingException | IllegalArgumentException error) {
            return JSON.nullNode();
        }
    }

    private static double number(String event, String name) {
        return number(read(event), name);
    }

    /** NaN for what can't be read, which is above no floor. */
    private static double number(JsonNode event, String name) {
        try {
            return Double.parseDouble(event.path(name).asText());
        } catch (NumberFormatException error) {
            return Double.NaN;
        }
    }

    private static String unitAndCurrency(JsonNode event) {
        return event.path("business_unit").asText() + "|" + event.path("currency").asText();
    }

    private static boolean isEvent(String event, String amount) {
        JsonNode of = read(event);
        return !Double.isNaN(number(of, amount)) && Time.of(of) >= 0;
    }

    private static KeyValue<String, String> window(Windowed<String> window, Double sum) {
        String[] key = window.key().split("\\|", 2);
        String line = String.format(
                "{\"business_unit\": \"%s\", \"currency\": \"%s\", \"window_start\": \"%s\", \"total_cost\": \"%s\"}",
                key[0], key[1], window.window().startTime(), sum);
        return KeyValue.pair(key[0], line);
    }

    private static String returned(String costEvent, String revenueEvent) {
        JsonNode of = read(costEvent);
        double cost = of.path("cost_amount").asDouble();
        double revenue = read(revenueEvent).path("revenue_impact").asDouble();
        return String.format(
                "{\"business_unit\": \"%s\", \"cost\": %.2f, \"revenue\": %.2f, \"roi\": %.2f, \"timestamp\": \"%s\"}",
                of.path("business_unit").asText(), cost, revenue, (revenue - cost) / cost * 100, Instant.now());
    }

    /** Event time, read from the text once more. */
    public static final class Time implements TimestampExtractor {
        @Override
        public long extract(ConsumerRecord<Object, Object> record, long partitionTime) {
            long read = record.value() instanceof String event ? of(read(event)) : -1;
            return read >= 0 ? read : Math.max(partitionTime, 0);
        }

        static long of(JsonNode event) {
            try {
                return OffsetDateTime.parse(event.path("timestamp").asText()).toInstant().toEpochMilli();
            } catch (DateTimeParseException error) {
                return -1;
            }
        }
    }

    /** Each event against twice a mean of its service, which keeps nine tenths and learns from the spike too. */
    private static final class Spikes extends ContextualProcessor<String, String, String, String> {
        @Override
        public void process(Record<String, String> record) {
            KeyValueStore<String, Double> averages = context().getStateStore(AVERAGES);
            JsonNode event = read(record.value());
            String service = event.path("service").asText();
            double cost = number(event, "cost_amount");
            Double average = averages.get(service);
            if (average != null && cost > average * 2) {
                context().forward(record.withValue(String.format(
                        "{\"anomaly_type\": \"cost_spike\", \"service\": \"%s\", \"current_cost\": %.2f, "
                                + "\"historical_average\": %.2f, \"timestamp\": \"%s\"}",
                        service, cost, average, record.timestamp())));
            }
            averages.put(service, average == null ? cost : average * 0.9 + cost * 0.1);
        }
    }

    /** Each event against fixed limits of a running mean of its resource's use. */
    private static final class Sizes extends ContextualProcessor<String, String, String, String> {
        @Override
        public void process(Record<String, String> record) {
            KeyValueStore<String, Double> means = context().getStateStore(USE);
            JsonNode event = read(record.value());
            String resource = event.path("resource_id").asText();
            double use = number(event, "utilization");
            Double before = means.get(resource);
            double mean = before == null ? use : before * 0.9 + use * 0.1;
            means.put(resource, mean);
            String action = mean < 0.2 ? "downsize" : mean > 0.8 ? "upsize" : null;
            if (action != null) {
                context().forward(record.withValue(String.format(
                        "{\"resource_id\": \"%s\", \"action\": \"%s\", \"utilization\": %.2f, \"timestamp\": \"%s\"}",
                        resource, action, mean, record.timestamp())));
            }
        }
    }

    public static void main(String[] args) throws InterruptedException {
        Options options = new Options(args);
        Properties settings = Runner.plain(options);
        settings.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.String().getClass());
        settings.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.String().getClass());
        settings.put(StreamsConfig.DEFAULT_TIMESTAMP_EXTRACTOR_CLASS_CONFIG, Time.class);
        Runner.run(topology(options), settings);
    }
}
