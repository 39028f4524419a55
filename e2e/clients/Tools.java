import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.util.Arrays;
import org.apache.kafka.common.utils.Exit;
import org.slf4j.LoggerFactory;

/**
 * Runs Kafka's command-line tools one after the other in one JVM, because
 * starting one takes longer than most of them.
 *
 * Standard input: a line per command, its fields separated by tabs: what the
 * command reads from its own standard input (\n for a new line), the class, the
 * arguments. Standard output, per command: a line with the exit status and the
 * number of bytes that follow, then what the command printed.
 */
public final class Tools {
    private static final int RUNNING = -1;
    private static volatile int status;

    private Tools() {}

    /** Ends a tool that asked for the end of the process. */
    private static final class Ended extends Error {
        private static final long serialVersionUID = 1;
    }

    /** Takes what a tool prints until it asks for the end. */
    private static final class Printed extends ByteArrayOutputStream {
        @Override
        public synchronized void write(byte[] b, int off, int len) {
            if (status == RUNNING) {
                super.write(b, off, len);
            }
        }

        @Override
        public synchronized void write(int b) {
            if (status == RUNNING) {
                super.write(b);
            }
        }
    }

    public static void main(String[] args) throws Exception {
        LoggerFactory.getLogger(Tools.class); // says once that there is no back end
        Exit.setExitProcedure((code, message) -> end(code, message));
        Exit.setHaltProcedure((code, message) -> end(code, message));
        PrintStream out = System.out;
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] fields = line.split("\t", -1);
            ByteArrayOutputStream printed = new Printed();
            PrintStream to = new PrintStream(printed, true);
            System.setOut(to);
            System.setErr(to);
            System.setIn(new ByteArrayInputStream(fields[0].replace("\\n", "\n").getBytes("UTF-8")));
            int code = run(fields[1], Arrays.copyOfRange(fields, 2, fields.length), to);
            to.flush();
            out.println(code + " " + printed.size());
            printed.writeTo(out);
            out.flush();
        }
    }

    private static void end(int code, String message) {
        if (status == RUNNING) { // the first one counts: a tool may catch Ended and exit again
            if (message != null) {
                System.err.println(message);
            }
            System.out.flush();
            status = code;
        }
        throw new Ended();
    }

    private static int run(String name, String[] args, PrintStream to) {
        status = RUNNING;
        try {
            Class.forName(name).getMethod("main", String[].class).invoke(null, (Object) args);
        } catch (InvocationTargetException e) {
            if (status == RUNNING) {
                e.getCause().printStackTrace(to);
                return 1; // as the JVM ends upon an uncaught exception
            }
        } catch (ReflectiveOperationException e) {
            e.printStackTrace(to);
            return 1;
        }
        return Math.max(status, 0);
    }
}
