"""A healthy service: 100 MB that stay, a bounded cache, and garbage with each request."""

import collections

kept = [bytes(450) for _ in range(200_000)]
cache: collections.OrderedDict = collections.OrderedDict()
requests = 0


def application(environ, start_response):
    global requests
    requests += 1
    cache[requests] = [str(number) for number in range(200)]
    if len(cache) > 500:
        cache.popitem(last=False)
    answer = ",".join(str({number: [number]}) for number in range(300)).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(answer)))])
    return [answer]
