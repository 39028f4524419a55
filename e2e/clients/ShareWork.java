import java.io.FileInputStream;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * Works a topic off by two consumers of one share group (KIP-932) until COUNT
 * records are done, and prints "done VALUE VERDICT DELIVERY CONSUMER" for each.
 *
 * Mode implicit: what a poll returned is accepted by the next one. Mode explicit:
 * of ten records one is released at its first delivery and accepted at a later
 * one, one is rejected, the others are accepted.
 *
 * Arguments: properties file, topic, group, mode, COUNT.
 */
public final class ShareWork implements Runnable {
    private final KafkaShareConsumer<String, String> consumer;
    private final Set<String> done;
    private final boolean explicit;
    private final int count;
    private final int number;

    private ShareWork(Properties p, String topic, boolean explicit, int count, int number, Set<String> done) {
        this.consumer = new KafkaShareConsumer<>(p, new StringDeserializer(), new StringDeserializer());
        this.explicit = explicit;
        this.count = count;
        this.number = number;
        this.done = done;
        consumer.subscribe(List.of(topic));
    }

    public static void main(String[] args) throws Exception {
        Properties p = new Properties();
        try (FileInputStream in = new FileInputStream(args[0])) {
            p.load(in);
        }
        try (Admin admin = Admin.create(p)) {
            ConfigResource group = new ConfigResource(ConfigResource.Type.GROUP, args[2]);
            ConfigEntry earliest = new ConfigEntry("share.auto.offset.reset", "earliest");
            admin.incrementalAlterConfigs(Map.of(group, List.of(new AlterConfigOp(earliest, AlterConfigOp.OpType.SET)))).all().get();
        }
        p.put("group.id", args[2]);
        p.put("share.acknowledgement.mode", args[3]);
        p.put("max.poll.records", "50");
        Set<String> done = ConcurrentHashMap.newKeySet();
        Thread[] all = new Thread[2];
        for (int i = 0; i < all.length; i++) {
            all[i] = new Thread(new ShareWork(p, args[1], args[3].equals("explicit"), Integer.parseInt(args[4]), i, done));
            all[i].setUncaughtExceptionHandler((t, e) -> {
                e.printStackTrace();
                Runtime.getRuntime().halt(1);
            });
            all[i].start();
        }
        for (Thread t : all) {
            t.join(TimeUnit.SECONDS.toMillis(90));
        }
        System.exit(done.size() == Integer.parseInt(args[4]) ? 0 : 1);
    }

    @Override
    public void run() {
        consumer.setAcknowledgementCommitCallback((offsets, e) -> {
            if (e != null) {
                System.out.println("failed " + offsets + " " + e);
            }
        });
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(80);
        while (done.size() < count && System.nanoTime() < end) {
            ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(500));
            for (ConsumerRecord<String, String> r : records) {
                work(r);
            }
        }
        consumer.commitSync();
        consumer.close();
    }

    private void work(ConsumerRecord<String, String> r) {
        AcknowledgeType verdict = AcknowledgeType.ACCEPT;
        if (explicit) {
            if (r.offset() % 10 == 0 && r.deliveryCount().orElse((short) 1) == 1) {
                verdict = AcknowledgeType.RELEASE;
            } else if (r.offset() % 10 == 5) {
                verdict = AcknowledgeType.REJECT;
            }
            consumer.acknowledge(r, verdict);
        }
        if (verdict != AcknowledgeType.RELEASE) {
            System.out.println("done " + r.value() + " " + verdict.name() + " " + r.deliveryCount().orElse((short) 0) + " " + number);
            done.add(r.value());
        }
    }
}
