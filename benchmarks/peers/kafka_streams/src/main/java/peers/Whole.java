package peers;

import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.AutoOffsetReset;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/**
 * The whole job: spikes, five-minute windows, returns within half an hour, right-sizing; validation and dead letters.
 *
 * <p>Two parts that share nothing: costs with revenues, and resources. Each event is parsed once, and added to one
 * bucket of its service; whatever is told is made of the buckets.
 */
public final class Whole {
    private static final ByteArraySerializer RAW = new ByteArraySerializer();

    private Whole() {}

    static Topology topology(Options options) {
        Topology topology = new Topology();
        source(topology, "cost", Event.Kind.COST, options.input("finops.cost.events"));
        source(topology, "business", Event.Kind.BUSINESS, options.input("finops.business.events"));
        source(topology, "resource", Event.Kind.RESOURCE, options.input("finops.resource.events"));
        topology.addProcessor("ledger", () -> new Ledger(options.idleMs()), "cost", "business");
        topology.addProcessor("sizing", Sizes::new, "resource");
        topology.addStateStore(store(Ledger.STORE), "ledger");
        topology.addStateStore(store(Units.STORE), "ledger");
        topology.addStateStore(store(Spikes.STORE), "ledger");
        topology.addStateStore(store(Sizes.STORE), "sizing");
        sink(topology, Spikes.SINK, options.output("finops.cost.anomalies"), "ledger");
        sink(topology, Units.WINDOWS, options.output("finops.cost.aggregations"), "ledger");
        sink(topology, Units.RETURNS, options.output("finops.roi.calculations"), "ledger");
        sink(topology, Sizes.SINK, options.output("finops.optimization.recommendations"), "sizing");
        sink(topology, Teller.LETTERS, options.input("finops.deadletter"), "ledger", "sizing");
        return topology;
    }

    private static void source(Topology topology, String name, Event.Kind kind, String topic) {
        topology.addSource(AutoOffsetReset.earliest(), name, new Event.Time(), new ByteArrayDeserializer(),
                new PerThread<>(() -> new EventReader(kind)), topic);
    }

    private static void sink(Topology topology, String name, String topic, String... parents) {
        topology.addSink(name, topic, RAW, RAW, parents);
    }

    private static StoreBuilder<KeyValueStore<Bytes, byte[]>> store(String name) {
        return Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(name), Serdes.Bytes(), Serdes.ByteArray())
                .withCachingEnabled();
    }

    public static void main(String[] args) throws InterruptedException {
        Options options = new Options(args);
        Runner.run(topology(options), Runner.tuned(options));
    }
}
