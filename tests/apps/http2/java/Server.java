import io.grpc.HandlerRegistry;
import io.grpc.MethodDescriptor;
import io.grpc.ServerMethodDefinition;
import io.grpc.Status;
import io.grpc.netty.NettyServerBuilder;
import io.grpc.stub.ServerCalls;
import io.grpc.stub.StreamObserver;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;

/** A server of grpc-java, on Netty, whose messages are bytes: java Server NAME ADDRESS PORT */
class Server {
    public static void main(String[] args) throws Exception {
        var name = (args[0] + " ").getBytes();
        var address = new InetSocketAddress(args[1], Integer.parseInt(args[2]));
        NettyServerBuilder.forAddress(address).fallbackHandlerRegistry(new HandlerRegistry() {
            @Override
            public ServerMethodDefinition<?, ?> lookupMethod(String method, String authority) {
                var echoes = MethodDescriptor.<byte[], byte[]>newBuilder(BYTES, BYTES)
                    .setFullMethodName(method).setType(MethodDescriptor.MethodType.BIDI_STREAMING).build();
                return ServerMethodDefinition.create(echoes,
                    ServerCalls.asyncBidiStreamingCall(answers -> new Echo(name, answers)));
            }
        }).build().start().awaitTermination();
    }

    /** Sends every message back behind the server's name; one that is "fail" ends the call. */
    private static class Echo implements StreamObserver<byte[]> {
        private final byte[] name;
        private final StreamObserver<byte[]> answers;
        private boolean failed;

        Echo(byte[] name, StreamObserver<byte[]> answers) {
            this.name = name;
            this.answers = answers;
        }

        @Override
        public void onNext(byte[] message) {
            failed |= new String(message).equals("fail");
            if (failed) {
                answers.onError(Status.DATA_LOSS.withDescription("as it was asked to").asException());
                return;
            }
            var answer = new byte[name.length + message.length];
            System.arraycopy(name, 0, answer, 0, name.length);
            System.arraycopy(message, 0, answer, name.length, message.length);
            answers.onNext(answer);
        }

        @Override
        public void onError(Throwable gaveUp) {}

        @Override
        public void onCompleted() {
            if (!failed) {
                answers.onCompleted();
            }
        }
    }

    private static final MethodDescriptor.Marshaller<byte[]> BYTES = new MethodDescriptor.Marshaller<>() {
        @Override
        public InputStream stream(byte[] value) {
            return new ByteArrayInputStream(value);
        }

        @Override
        public byte[] parse(InputStream stream) {
            try {
                return stream.readAllBytes();
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        }
    };
}
