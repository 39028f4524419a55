package org.slf4j.impl;

import java.lang.reflect.Proxy;
import java.util.Locale;
import org.slf4j.ILoggerFactory;
import org.slf4j.Logger;
import org.slf4j.helpers.MessageFormatter;

/**
 * Prints what kafka-clients log, as events of a ledger (rolling_test.go).
 * SLF4J 1.7 finds its back end by the name of this class; the jars of the
 * broker bring none.
 */
public final class StaticLoggerBinder {
  @SuppressWarnings("checkstyle:StaticVariableName") // read by SLF4J, which demands that it is not final
  public static String REQUESTED_API_VERSION = "1.6.99";

  private static final StaticLoggerBinder SINGLETON = new StaticLoggerBinder();

  public static StaticLoggerBinder getSingleton() {
    return SINGLETON;
  }

  public ILoggerFactory getLoggerFactory() {
    return StaticLoggerBinder::logger;
  }

  public String getLoggerFactoryClassStr() {
    return StaticLoggerBinder.class.getName();
  }

  private static Logger logger(String name) {
    String from = name.substring(name.lastIndexOf('.') + 1);
    return (Logger) Proxy.newProxyInstance(Logger.class.getClassLoader(), new Class<?>[] {Logger.class},
        (proxy, method, args) -> {
          switch (method.getName()) {
            case "getName":
              return name;
            case "isInfoEnabled", "isWarnEnabled", "isErrorEnabled":
              return true;
            case "error", "warn", "info":
              log(method.getName(), from, args);
              return null;
            default:
              return method.getReturnType() == boolean.class ? false : null;
          }
        });
  }

  private static void log(String level, String from, Object[] args) {
    Object[] rest = args.length == 2 && args[1] instanceof Object[] all ? all : java.util.Arrays.copyOfRange(args, 1, args.length);
    var text = MessageFormatter.arrayFormat(String.valueOf(args[0]), rest);
    String line = from + " " + text.getMessage() + (text.getThrowable() == null ? "" : " " + text.getThrowable());
    line = line.replace('\n', ' ');
    switch (level) {
      case "error" -> System.out.println("error log " + line);
      case "warn" -> System.out.println("info " + line);
      default -> {
        if (line.toLowerCase(Locale.ROOT).contains("disconnected")) {
          System.out.println("disconnect " + line);
        }
      }
    }
  }
}
