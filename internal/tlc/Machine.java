import java.io.BufferedOutputStream;
import java.io.BufferedReader;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.util.Arrays;
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
 * <p>TLC was written to run once in a process and keeps state in static fields. A run sets them all anew, but for the
 * place of each name in states and definitions, which is cleared here; whether coverage is counted, which is settled
 * by the first run; and that a liveness property was violated, after which the process must not be used again.
 */
public final class Machine {
  public static void main(String[] none) throws Exception {
    PrintStream answers = System.out;
    BufferedReader requests = new BufferedReader(new InputStreamReader(System.in));
    for (String word : requests.readLine().split("\t")) {
      UniqueString.uniqueStringOf(word);
    }
    for (String line; (line = requests.readLine()) != null; ) {
      String[] parts = line.split("\t");
      long before = processorTime();
      int code;
      try (PrintStream out = new PrintStream(new BufferedOutputStream(new FileOutputStream(parts[0] + "/out")))) {
        System.setOut(out);
        System.setErr(out);
        ToolIO.out = out;
        ToolIO.err = out;
        code = run(parts[0], Arrays.copyOfRange(parts, 1, parts.length));
      }
      answers.println("ran " + code + " " + (processorTime() - before));
      answers.flush();
    }
    System.exit(0); // TLC leaves threads behind
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
