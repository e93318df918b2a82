import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hdfs.MiniDFSCluster;
import org.apache.hadoop.hdfs.MiniDFSCluster.DataNodeProperties;
import org.apache.hadoop.hdfs.MiniDFSNNTopology;

/**
 * A real HDFS with two namenodes and some datanodes in this process, and a small HTTP server to break it with.
 *
 * Arguments: data folder, control port, two namenode HTTP ports, number of datanodes, then name=value for the
 * configuration. `/activate/N` and `/standby/N` change a namenode, `/datanode/PORT` ends the datanode with this
 * HTTP port, `/datanodes/start` starts those ended, `/datanodes` changes nothing. All answer the HTTP ports of the
 * datanodes that run.
 */
public class MiniHdfs {
    private static MiniDFSCluster cluster;
    private static final Map<String, DataNodeProperties> stopped = new HashMap<>();

    public static void main(String[] arguments) throws Exception {
        Configuration configuration = new Configuration();
        for (String setting : List.of(arguments).subList(5, arguments.length)) {
            String[] pair = setting.split("=", 2);
            configuration.set(pair[0], pair[1]);
        }
        MiniDFSNNTopology topology = new MiniDFSNNTopology().addNameservice(
            new MiniDFSNNTopology.NSConf("models")
                .addNN(new MiniDFSNNTopology.NNConf("nn1").setHttpPort(Integer.parseInt(arguments[2])))
                .addNN(new MiniDFSNNTopology.NNConf("nn2").setHttpPort(Integer.parseInt(arguments[3]))));
        cluster = new MiniDFSCluster.Builder(configuration, Path.of(arguments[0]).toFile())
            .nnTopology(topology).numDataNodes(Integer.parseInt(arguments[4])).build();
        cluster.waitActive();
        cluster.transitionToActive(0);
        HttpServer control = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[1])), 8);
        control.createContext("/", MiniHdfs::answer);
        control.start();
        System.out.println("HDFS is up");
        Thread.currentThread().join();
    }

    private static synchronized void answer(HttpExchange exchange) throws IOException {
        int status = 200;
        String text;
        try {
            text = command(exchange.getRequestURI().getPath().substring(1).split("/"));
        } catch (Exception error) {
            status = 500;
            text = error.toString();
        }
        byte[] body = text.getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(status, body.length == 0 ? -1 : body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
    }

    private static String command(String[] words) throws Exception {
        switch (words[0]) {
            case "activate" -> cluster.transitionToActive(Integer.parseInt(words[1]));
            case "standby" -> cluster.transitionToStandby(Integer.parseInt(words[1]));
            case "datanode" -> stopDatanode(words[1]);
            case "datanodes" -> {
                if (words.length > 1) {
                    startDatanodes();
                }
            }
            default -> throw new IllegalArgumentException(words[0]);
        }
        List<String> ports = new ArrayList<>();
        for (var datanode : cluster.getDataNodes()) {
            ports.add(String.valueOf(datanode.getInfoPort()));
        }
        return String.join(",", ports);
    }

    private static void stopDatanode(String port) {
        for (int place = 0; place < cluster.getDataNodes().size(); place++) {
            if (String.valueOf(cluster.getDataNodes().get(place).getInfoPort()).equals(port)) {
                stopped.put(port, cluster.stopDataNode(place));
                return;
            }
        }
        throw new IllegalArgumentException("no datanode at port " + port);
    }

    private static void startDatanodes() throws Exception {
        for (DataNodeProperties properties : stopped.values()) {
            cluster.restartDataNode(properties, true);
        }
        stopped.clear();
        cluster.waitActive();
    }
}
