import java.io.BufferedOutputStream;
import java.io.BufferedReader;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import tla2sany.xml.XMLExporter;
import tlc2.TLC;
import tlc2.output.EC;
import util.SimpleFilenameToStream;
import util.ToolIO;
import util.UniqueString;

/**
 * Runs TLC any number of times, so that TLC's code is loaded and compiled once.
 *
 * <p>The first line of standard input has the words of all modules. TLC orders strings by the order in which it first
 * met them: told in advance, a run does not depend on those before it. Every further line is a run: a folder and the
 * arguments of TLC, divided by tabs. What TLC prints goes to the file "out" of that folder, and standard output gets
 * TLC's exit code and the processor time of the run in nanoseconds.
 *
 * <p>"export" and the name of a module, in place of TLC's arguments, have SANY write the module as XML to "out" and
 * what it has to say to "log".
 *
 * <p>TLC was written to run once in a process and keeps state in static fields. A run sets them all anew, but for the
 * place of each name in states and definitions, which is cleared here; whether coverage is counted, which is settled
 * by the first run; and that a liveness property was violated, after which the process must not be used again.
 */
public final class Machine {
  public static void main(String[] none) throws Exception {
    PrintStream answers = System.out;
    BlockingQueue<String> requests = requests();
    for (String word : requests.take().split("\t")) {
      UniqueString.uniqueStringOf(word);
    }
    for (; ; ) {
      String line = requests.take();
      String[] parts = line.split("\t");
      long before = processorTime();
      int code;
      boolean export = parts[1].equals("export");
      try (PrintStream out = file(parts[0], "out"); PrintStream log = export ? file(parts[0], "log") : out) {
        System.setOut(out);
        System.setErr(log);
        ToolIO.out = log;
        ToolIO.err = log;
        code = export ? export(parts[0], parts[2]) : run(parts[0], Arrays.copyOfRange(parts, 1, parts.length));
      }
      answers.println("ran " + code + " " + (processorTime() - before));
      answers.flush();
    }
  }

  /** The lines of standard input. At its end the process ends, in the middle of a run too: nobody waits for it. */
  private static BlockingQueue<String> requests() {
    BlockingQueue<String> lines = new LinkedBlockingQueue<>();
    Thread reader =
        new Thread(
            () -> {
              new BufferedReader(new InputStreamReader(System.in)).lines().forEach(lines::add);
              Runtime.getRuntime().halt(0);
            });
    reader.setDaemon(true);
    reader.start();
    return lines;
  }

  private static PrintStream file(String folder, String name) throws Exception {
    return new PrintStream(new BufferedOutputStream(new FileOutputStream(folder + "/" + name)));
  }

  private static int export(String folder, String module) {
    try {
      // -o: without the validation against a schema that the exporter would look for.
      XMLExporter.main(new String[] {"-o", "-I", folder, module + ".tla"});
      return 0;
    } catch (Exception | Error e) {
      e.printStackTrace();
      return 1;
    }
  }

  private static int run(String folder, String[] args) throws Exception {
    for (UniqueString name : UniqueString.internTbl.toMap().values()) {
      name.setLoc(-1);
    }
    UniqueString.setVariableCount(0);
    TLC tlc = new TLC();
    if (!tlc.handleParameters(args)) {
      return 1;
    }
    tlc.setResolver(new SimpleFilenameToStream(folder));
    return EC.ExitStatus.errorConstantToExitStatus(tlc.process());
  }

  private static long processorTime() {
    return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
  }
}
