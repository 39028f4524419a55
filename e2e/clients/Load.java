import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/**
 * Steady load of kafka-clients: an idempotent producer and a consumer group
 * with synchronous commits. Tells what happens, one event a line (see ledger in
 * rolling_test.go), until "stop" on standard input ends producing and its end
 * ends consuming.
 *
 * usage: Load PROPERTIES TOPIC GROUP RECORDS_PER_SECOND
 *
 * With LOAD_BYTES in the environment records have so many bytes, and only WINDOW of them are on their way: who is
 * throttled must not pile up what will be too old when its turn comes.
 */
final class Load {
  private static final int BYTES = Integer.parseInt(System.getenv().getOrDefault("LOAD_BYTES", "1"));
  private static final int WINDOW = 200;
  private static final Semaphore underway = new Semaphore(BYTES > 1 ? WINDOW : Integer.MAX_VALUE);
  private static volatile boolean producing = true;
  private static volatile boolean consuming = true;

  public static void main(String[] args) throws Exception {
    Properties common = new Properties();
    try (var in = new java.io.FileReader(args[0])) {
      common.load(in);
    }
    Thread producer = new Thread(() -> produce(common, args[1], Integer.parseInt(args[3])));
    Thread consumer = new Thread(() -> consume(common, args[1], args[2]));
    producer.start();
    consumer.start();
    try (var in = new BufferedReader(new InputStreamReader(System.in))) {
      in.readLine();
      producing = false;
      producer.join();
      tell("flushed");
      in.readLine();
    }
    consuming = false;
    consumer.join();
  }

  private static void produce(Properties common, String topic, int rate) {
    Properties p = new Properties();
    p.putAll(common);
    p.put("enable.idempotence", "true");
    p.put("key.serializer", "org.apache.kafka.common.serialization.StringSerializer");
    p.put("value.serializer", "org.apache.kafka.common.serialization.StringSerializer");
    try (var producer = new KafkaProducer<String, String>(p)) {
      long begin = System.nanoTime();
      for (long i = 0; producing; i++) {
        String key = Long.toString(i);
        underway.acquire();
        long sent = System.nanoTime();
        producer.send(new ProducerRecord<>(topic, key, String.format("%-" + BYTES + "s", key)), (meta, e) -> {
          underway.release();
          if (e != null) {
            tell("error produce: " + e);
          } else {
            tell("acked " + key + " " + TimeUnit.NANOSECONDS.toMicros(System.nanoTime() - sent));
          }
        });
        LockSupport.parkNanos(begin + (i + 1) * TimeUnit.SECONDS.toNanos(1) / rate - System.nanoTime());
      }
      producer.flush();
    } catch (Exception e) {
      tell("error producer: " + e);
    }
  }

  private static void consume(Properties common, String topic, String group) {
    Properties p = new Properties();
    p.putAll(common);
    p.put("group.id", group);
    p.put("auto.offset.reset", "earliest");
    p.put("enable.auto.commit", "false");
    if (BYTES > 1) {
      p.put("session.timeout.ms", "10000"); // that of older clients: what is late is noticed
    }
    p.put("key.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
    p.put("value.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
    try (var consumer = new KafkaConsumer<String, String>(p)) {
      consumer.subscribe(List.of(topic), new ConsumerRebalanceListener() {
        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {}

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
          if (!partitions.isEmpty()) {
            tell("rebalance revoked " + partitions);
          }
        }
      });
      while (consuming) {
        try {
          var records = consumer.poll(Duration.ofMillis(200));
          records.forEach(r -> tell("read " + r.value().strip() + " " + r.partition() + " " + r.offset()));
          if (!records.isEmpty()) {
            consumer.commitSync();
            tell("committed");
          }
        } catch (Exception e) {
          tell("error consumer: " + e);
        }
      }
    } catch (Exception e) {
      tell("error consumer ends: " + e);
    }
  }

  private static void tell(String line) {
    System.out.println(line.replace('\n', ' '));
  }
}
