package milepost.test;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.Array;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.Collections;
import java.util.Date;
import java.util.HashMap;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.LinkedList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.dubbo.config.ApplicationConfig;
import org.apache.dubbo.config.MethodConfig;
import org.apache.dubbo.config.ReferenceConfig;
import org.apache.dubbo.config.RegistryConfig;
import org.apache.dubbo.rpc.service.EchoService;
import org.apache.dubbo.rpc.service.GenericService;

/**
 * A Dubbo caller that is told what to do: a JSON object a line on stdin, an answer a line on stdout, each with the id
 * of its command. Every command runs in a thread of its own. Values are {"t": type, "v": value}, both ways.
 */
public final class Caller {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Map<String, Object> REFERENCES = new ConcurrentHashMap<>();
    private static final Map<String, ReferenceConfig<Object>> CONFIGS = new ConcurrentHashMap<>();
    private static final ExecutorService THREADS = Executors.newCachedThreadPool();
    private static PrintStream answers;

    public static void main(String[] args) throws Exception {
        answers = System.out;
        System.setOut(System.err);
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
        for (String line; (line = commands.readLine()) != null; ) {
            JsonNode command = JSON.readTree(line);
            THREADS.execute(() -> answer(command));
        }
        // Dubbo's own goodbye takes ten seconds, and nobody is left to hear it.
        Runtime.getRuntime().halt(0);
    }

    private static void answer(JsonNode command) {
        ObjectNode answer = outcome(() -> run(command));
        answer.set("id", command.get("id"));
        synchronized (answers) {
            answers.println(answer);
            answers.flush();
        }
    }

    private static ObjectNode outcome(Callable<JsonNode> work) {
        ObjectNode answer = JSON.createObjectNode();
        try {
            answer.set("value", work.call());
        } catch (Throwable thrown) {
            Throwable error = thrown instanceof InvocationTargetException ? thrown.getCause() : thrown;
            answer.put("error", error.getClass().getName());
            answer.put("message", String.valueOf(error.getMessage()));
        }
        return answer;
    }

    private static JsonNode run(JsonNode command) throws Exception {
        switch (command.get("op").asText()) {
            case "refer": return refer(command);
            case "call": return told(call(command, command.get("args")));
            case "async": return told(callAsync(command));
            case "echo": return told(((EchoService) reference(command)).$echo(value(command.get("args").get(0))));
            case "many": return many(command);
            case "load": return load(command);
            case "drop": CONFIGS.remove(command.get("name").asText()).destroy(); return JSON.nullNode();
            default: throw new IllegalArgumentException(command.toString());
        }
    }

    private static JsonNode refer(JsonNode command) throws Exception {
        ReferenceConfig<Object> config = new ReferenceConfig<>();
        config.setApplication(new ApplicationConfig("old-caller"));
        boolean generic = command.path("generic").asBoolean(true);
        if (generic) {
            config.setGeneric("true");
            config.setInterface(command.get("interface").asText());
        } else {
            config.setInterface(Scorer.class);
        }
        if (command.has("url")) {
            config.setUrl(command.get("url").asText());
            config.setRegistry(new RegistryConfig("N/A"));
        } else {
            config.setRegistry(new RegistryConfig(command.get("registry").asText()));
        }
        if (command.has("version")) config.setVersion(command.get("version").asText());
        if (command.has("group")) config.setGroup(command.get("group").asText());
        config.setTimeout(command.path("timeout").asInt(5000));
        config.setRetries(command.path("retries").asInt(0));
        config.setCheck(command.path("check").asBoolean(true));
        if (command.has("parameters")) {
            config.setParameters(JSON.convertValue(command.get("parameters"), Map.class));
        }
        if (command.has("oneWay")) {
            MethodConfig method = new MethodConfig();
            method.setName(command.get("oneWay").asText());
            method.setReturn(false);
            config.setMethods(Collections.singletonList(method));
        }
        String name = command.get("name").asText();
        REFERENCES.put(name, config.get());
        CONFIGS.put(name, config);
        return JSON.nullNode();
    }

    private static Object reference(JsonNode command) {
        return REFERENCES.get(command.get("name").asText());
    }

    private static Object call(JsonNode command, JsonNode arguments) throws Exception {
        Object service = reference(command);
        String method = command.get("method").asText();
        Object[] values = values(arguments);
        if (service instanceof GenericService) {
            return ((GenericService) service).$invoke(method, types(command), values);
        }
        for (Method candidate : Scorer.class.getMethods()) {
            if (candidate.getName().equals(method)) return candidate.invoke(service, values);
        }
        throw new NoSuchMethodException(method);
    }

    /** By reflection: Dubbo 2.6 has no such method. */
    private static Object callAsync(JsonNode command) throws Exception {
        Method method = GenericService.class.getMethod("$invokeAsync", String.class, String[].class, Object[].class);
        Object future = method.invoke(
            reference(command), command.get("method").asText(), types(command), values(command.get("args")));
        return ((CompletableFuture<?>) future).get();
    }

    private static JsonNode many(JsonNode command) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(command.get("threads").asInt());
        List<Future<ObjectNode>> running = new ArrayList<>();
        for (JsonNode arguments : command.get("args")) {
            running.add(pool.submit(() -> outcome(() -> told(call(command, arguments)))));
        }
        ArrayNode outcomes = JSON.createArrayNode();
        for (Future<ObjectNode> future : running) outcomes.add(future.get());
        pool.shutdown();
        return outcomes;
    }

    private static JsonNode load(JsonNode command) throws Exception {
        long end = System.currentTimeMillis() + command.get("milliseconds").asLong();
        int threads = command.get("threads").asInt();
        ExecutorService pool = Executors.newFixedThreadPool(threads);
        List<Future<Integer>> running = new ArrayList<>();
        Map<String, Integer> failures = new ConcurrentHashMap<>();
        for (int thread = 0; thread < threads; thread++) {
            running.add(pool.submit(() -> {
                int done = 0;
                while (System.currentTimeMillis() < end) {
                    ObjectNode outcome = outcome(() -> told(call(command, command.get("args"))));
                    if (outcome.has("error")) failures.merge(outcome.get("message").asText(), 1, Integer::sum);
                    else done++;
                }
                return done;
            }));
        }
        int done = 0;
        for (Future<Integer> future : running) done += future.get();
        pool.shutdown();
        ObjectNode found = JSON.createObjectNode();
        found.put("done", done);
        found.set("failures", JSON.valueToTree(failures));
        return found;
    }

    private static String[] types(JsonNode command) {
        return JSON.convertValue(command.get("types"), String[].class);
    }

    private static Object[] values(JsonNode arguments) throws Exception {
        Object[] values = new Object[arguments.size()];
        for (int i = 0; i < values.length; i++) values[i] = value(arguments.get(i));
        return values;
    }

    private static Object value(JsonNode told) throws Exception {
        JsonNode v = told.get("v");
        switch (told.get("t").asText()) {
            case "null": return null;
            case "boolean": return v.asBoolean();
            case "int": return v.asInt();
            case "short": return (short) v.asInt();
            case "byte": return (byte) v.asInt();
            case "char": return v.asText().charAt(0);
            case "long": return v.asLong();
            case "float": return (float) v.asDouble();
            case "double": return v.isTextual() ? Double.valueOf(v.asText()) : (Double) v.asDouble();
            case "string": return v.asText();
            case "bytes": return Base64.getDecoder().decode(v.asText());
            case "date": return new Date(v.asLong());
            case "decimal": return new BigDecimal(v.asText());
            case "int[]": return JSON.convertValue(v, int[].class);
            case "long[]": return JSON.convertValue(v, long[].class);
            case "float[]": return JSON.convertValue(v, float[].class);
            case "double[]": return JSON.convertValue(v, double[].class);
            case "double[][]": return JSON.convertValue(v, double[][].class);
            case "String[]": return JSON.convertValue(v, String[].class);
            case "list": return fill(new ArrayList<>(), v);
            case "linked": return fill(new LinkedList<>(), v);
            case "set": return fill(new HashSet<>(), v);
            case "map": return fill(new HashMap<>(), v);
            case "linkedmap": return fill(new LinkedHashMap<>(), v);
            case "tree": return fill(new TreeMap<>(), v);
            case "sample": return JSON.convertValue(v, Sample.class);
            case "cyclic": {
                List<Object> list = new ArrayList<>();
                list.add(v.asText());
                list.add(list);
                return list;
            }
            case "twice": {
                Object shared = value(v);
                List<Object> list = new ArrayList<>();
                list.add(shared);
                list.add(shared);
                return list;
            }
            case "deep": {
                Object inner = "bottom";
                for (int i = 0; i < v.asInt(); i++) inner = new ArrayList<>(Collections.singletonList(inner));
                return inner;
            }
            default: throw new IllegalArgumentException(told.toString());
        }
    }

    private static Collection<Object> fill(Collection<Object> collection, JsonNode items) throws Exception {
        for (JsonNode item : items) collection.add(value(item));
        return collection;
    }

    private static Map<Object, Object> fill(Map<Object, Object> map, JsonNode entries) throws Exception {
        for (Iterator<String> names = entries.fieldNames(); names.hasNext(); ) {
            String name = names.next();
            map.put(name, value(entries.get(name)));
        }
        return map;
    }

    private static JsonNode told(Object value) throws Exception {
        return told(value, new IdentityHashMap<>());
    }

    /** A list, map or object that was told before is told as "again", so that shapes with cycles end. */
    private static JsonNode told(Object value, IdentityHashMap<Object, Boolean> seen) throws Exception {
        ObjectNode node = JSON.createObjectNode();
        if (value == null) return node.put("t", "null");
        node.put("t", value.getClass().getTypeName());
        boolean simple = value instanceof Number || value instanceof Boolean || value instanceof String
            || value instanceof Character || value instanceof Enum;
        if (!simple && !(value instanceof Date) && !(value instanceof byte[]) && seen.put(value, true) != null) {
            return node.put("t", "again");
        }
        if (value instanceof byte[]) return node.put("v", Base64.getEncoder().encodeToString((byte[]) value));
        if (value instanceof Date) return node.put("v", ((Date) value).getTime());
        if (value instanceof Double && !Double.isFinite((Double) value)) return node.put("v", value.toString());
        if (value instanceof Enum || value instanceof Character) return node.put("v", value.toString());
        if (simple) return node.set("v", JSON.valueToTree(value));
        if (value.getClass().isArray()) {
            ArrayNode items = node.putArray("v");
            for (int i = 0; i < Array.getLength(value); i++) items.add(told(Array.get(value, i), seen));
        } else if (value instanceof Collection) {
            ArrayNode items = node.putArray("v");
            for (Object item : (Collection<?>) value) items.add(told(item, seen));
        } else if (value instanceof Map) {
            ObjectNode entries = node.putObject("v");
            for (Map.Entry<?, ?> entry : ((Map<?, ?>) value).entrySet()) {
                entries.set(String.valueOf(entry.getKey()), told(entry.getValue(), seen));
            }
        } else {
            ObjectNode fields = node.putObject("v");
            for (Field field : value.getClass().getDeclaredFields()) {
                field.setAccessible(true);
                fields.set(field.getName(), told(field.get(value), seen));
            }
        }
        return node;
    }
}
