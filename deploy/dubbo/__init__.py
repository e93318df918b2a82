"""The Dubbo entry: callers that speak Dubbo reach models that are served over HTTP.

A program of its own, which imports nothing else of the platform: `frame`, `hessian`, `invocation`, `services` and
`mapping` are pure, `server` and `connection` speak Dubbo, `backend` speaks HTTP, `zookeeper` registers.
"""
