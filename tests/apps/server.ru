# An ordinary server with a pool of threads behind an event loop: says its name and whom it sees, and sends bodies back.

app = lambda do |env|
  body = env["rack.input"].read
  if body.empty?
    _, port, _, host = env["puma.socket"].peeraddr(false)
    body = "#{ENV.fetch("NAME")} #{host.include?(":") ? "[#{host}]" : host}:#{port}"
  end
  [200, { "Content-Length" => body.bytesize.to_s }, [body]]
end
run app
