-- The same library under the name of its upstream: Debian installs it as nginx.dns.resolver.
return require("nginx.dns.resolver")
