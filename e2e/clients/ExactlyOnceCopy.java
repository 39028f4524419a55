import java.io.FileInputStream;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Copies a topic exactly once: what was read, what was written and the offsets
 * are one transaction. The loop is the one that KafkaProducer's documentation
 * describes: an abortable error aborts, a fatal one makes a new producer, and
 * both begin again at the committed offsets.
 *
 * Arguments: properties file, source, target, group, transactional id, records
 * of the source. Prints one line per transaction and "done ..." at the end.
 */
public final class ExactlyOnceCopy {
    private final Properties connection;
    private final String source;
    private final String target;
    private final String transactionalId;
    private final long total;
    private final KafkaConsumer<byte[], byte[]> consumer;
    private KafkaProducer<byte[], byte[]> producer;
    private int transactions;
    private int aborted;
    private int producers;

    private ExactlyOnceCopy(String[] args) throws Exception {
        connection = new Properties();
        try (FileInputStream in = new FileInputStream(args[0])) {
            connection.load(in);
        }
        source = args[1];
        target = args[2];
        transactionalId = args[4];
        total = Long.parseLong(args[5]);
        Properties p = new Properties();
        p.putAll(connection);
        p.put("group.id", args[3]);
        p.put("group.protocol", "consumer");
        p.put("isolation.level", "read_committed");
        p.put("enable.auto.commit", "false");
        p.put("auto.offset.reset", "earliest");
        p.put("max.poll.records", "300");
        consumer = new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    public static void main(String[] args) throws Exception {
        ExactlyOnceCopy copy = new ExactlyOnceCopy(args);
        copy.open();
        copy.consumer.subscribe(List.of(copy.source));
        while (!copy.done()) {
            ConsumerRecords<byte[], byte[]> records = copy.consumer.poll(Duration.ofMillis(500));
            if (!records.isEmpty()) {
                copy.step(records);
            }
        }
        copy.producer.close();
        copy.consumer.close();
        System.out.printf("done transactions=%d aborted=%d producers=%d%n", copy.transactions, copy.aborted, copy.producers);
    }

    private void open() {
        Properties p = new Properties();
        p.putAll(connection);
        p.put("transactional.id", transactionalId);
        p.put("transaction.timeout.ms", "20000");
        p.put("delivery.timeout.ms", "15000");
        p.put("request.timeout.ms", "5000");
        p.put("linger.ms", "0");
        while (true) {
            KafkaProducer<byte[], byte[]> fresh = new KafkaProducer<>(p, new ByteArraySerializer(), new ByteArraySerializer());
            producers++;
            try {
                fresh.initTransactions();
                producer = fresh;
                return;
            } catch (KafkaException e) {
                say("initTransactions", e);
                fresh.close(Duration.ZERO);
            }
        }
    }

    /** One transaction; whatever fails leaves nothing of it behind. */
    private void step(ConsumerRecords<byte[], byte[]> records) {
        Map<TopicPartition, OffsetAndMetadata> next = new HashMap<>();
        try {
            producer.beginTransaction();
            for (ConsumerRecord<byte[], byte[]> r : records) {
                producer.send(new ProducerRecord<>(target, r.partition(), r.key(), r.value()));
                next.put(new TopicPartition(r.topic(), r.partition()), new OffsetAndMetadata(r.offset() + 1));
            }
            producer.sendOffsetsToTransaction(next, consumer.groupMetadata());
            commit();
            transactions++;
            System.out.println("committed " + records.count());
        } catch (KafkaException e) {
            aborted++;
            say("transaction", e);
            abort();
            rewind();
        }
    }

    /** A commit that timed out may be asked for again, and only that. */
    private void commit() {
        while (true) {
            try {
                producer.commitTransaction();
                return;
            } catch (TimeoutException e) {
                say("commitTransaction", e);
            }
        }
    }

    private void abort() {
        try {
            producer.abortTransaction();
        } catch (KafkaException e) {
            say("abortTransaction", e);
            producer.close(Duration.ZERO);
            open();
        }
    }

    /** Goes back to what the group has committed. */
    private void rewind() {
        while (true) {
            Set<TopicPartition> mine = consumer.assignment();
            try {
                Map<TopicPartition, OffsetAndMetadata> committed = consumer.committed(mine);
                for (TopicPartition p : mine) {
                    OffsetAndMetadata at = committed.get(p);
                    consumer.seek(p, at == null ? 0 : at.offset());
                }
                return;
            } catch (TimeoutException e) {
                say("committed", e);
            }
        }
    }

    /** Whether the group has committed the whole source. */
    private boolean done() {
        Set<TopicPartition> mine = consumer.assignment();
        long positions = 0;
        try {
            for (TopicPartition p : mine) {
                positions += consumer.position(p, Duration.ofSeconds(5));
            }
            if (positions < total) {
                return false;
            }
            long sum = 0;
            for (OffsetAndMetadata at : consumer.committed(new HashSet<>(mine)).values()) {
                sum += at == null ? 0 : at.offset();
            }
            return sum >= total;
        } catch (TimeoutException e) {
            say("position", e);
            return false;
        }
    }

    private static void say(String what, Exception e) {
        String cause = e.getCause() == null ? "" : " < " + e.getCause();
        System.out.println(what + ": " + e + cause);
    }
}
