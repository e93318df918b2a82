-- The same library under the name of its upstream: Debian installs it as nginx.cookie.
return require("nginx.cookie")
