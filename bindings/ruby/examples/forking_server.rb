# frozen_string_literal: true

# A server that forks: `ruby forking_server.rb URL TOKEN CACHE LIBRARY PORT`. The parent opens the index and fetches the
# library; the children answer each line, a path, with a key or the reason why there is none. TERM ends it.
require "plexindex"
require "socket"

CHILDREN = 3

def answer(movies, path)
  key = movies.lookup_key(path) # from memory, shared by all processes
  return key if key

  match = movies.match(path, deadline_ms: 2000)
  match.item ? match.item.key : "#{match.status}: #{match.message}"
rescue Plexindex::Error => e
  "#{e.code}: #{e.message}"
end

def serve(socket, movies)
  loop do
    client = socket.accept
    while (path = client.gets(chomp: true))
      client.puts answer(movies, path)
    end
  rescue SystemCallError
    next # the client went away
  ensure
    client&.close
  end
end

url, token, folder, library, port = ARGV
index = Plexindex.open(server_url: url, token: token, cache_dir: folder)
movies = index.library(library)
movies.refresh
socket = TCPServer.new("127.0.0.1", port)
children = Array.new(CHILDREN) do
  fork do
    trap("TERM") { exit }
    serve(socket, movies)
  ensure
    index.close # the child's copy; the parent's stays open
  end
end
trap("TERM") { children.each { |child| Process.kill(:TERM, child) } }
puts "listening on #{socket.addr[1]}"
$stdout.flush
Process.waitall
index.close
