"""Bearer tokens and permissions of the cluster: TokenReview and SubjectAccessReview.

The cluster's rules are the only rules. An answer is used again for a short time; one that cannot be had is
`AuthUnavailable`, and no remembered yes outlives its time because the cluster is down.

Sources: https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/ and
https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/subject-access-review-v1/.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from milepost.caller import TOKEN_MAX_CHARS, Access, AuthUnavailable, Caller, Unauthenticated
from milepost.kube import KubeClient, KubeError

_TOKEN_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"  # noqa: S105 - a path
_ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


class KubernetesAuth:
    """Asks the cluster who a token is and what its holder may do; keeps `cache_max` answers for `cache_for_s`."""

    def __init__(
        self,
        client: KubeClient,
        *,
        audience: str = "",
        timeout_s: float = 5,
        cache_for_s: float = 10,
        cache_max: int = 4096,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._audience = audience
        self._timeout_s = timeout_s
        self._callers: _Recent[str, Caller | None] = _Recent(cache_for_s, cache_max, clock)
        self._answers: _Recent[tuple[Caller, Access], bool] = _Recent(cache_for_s, cache_max, clock)

    async def authenticate(self, token: str | None) -> Caller:
        """Return the user of a token that the cluster knows; raises Unauthenticated or AuthUnavailable."""
        if not token or len(token) > TOKEN_MAX_CHARS:
            raise Unauthenticated("a bearer token is needed" if not token else "the bearer token is too long")
        # The token itself is not kept in memory longer than the request.
        key = hashlib.sha256(token.encode()).hexdigest()
        known, caller = self._callers.get(key)
        if not known:
            caller = await self._review_token(token)
            self._callers.put(key, caller)
        if caller is None:
            raise Unauthenticated("the bearer token is not valid in this cluster")
        return caller

    async def allowed(
        self, caller: Caller, *, verb: str, group: str, resource: str, subresource: str = "", namespace: str = ""
    ) -> bool:
        """Return the cluster's answer; raises AuthUnavailable when there is none."""
        access = Access(verb, group, resource, subresource, namespace)
        known, answer = self._answers.get((caller, access))
        if not known or answer is None:
            answer = await self._review_access(caller, access)
            self._answers.put((caller, access), answer)
        return answer

    async def _review_token(self, token: str) -> Caller | None:
        audiences = [self._audience] if self._audience else []
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview"}
        body = msgspec.json.encode({**review, "spec": {"token": token, "audiences": audiences}})
        status = (await self._ask(_TOKEN_REVIEWS, body, _TokenReview)).status
        if not status.authenticated or not status.user.username:
            return None
        # An authenticator that ignores audiences answers without any: then nothing proves that the token is for us.
        if audiences and not set(audiences) & set(status.audiences):
            return None
        user = status.user
        extra = tuple(sorted((key, tuple(values)) for key, values in user.extra.items()))
        return Caller(user.username, tuple(user.groups), user.uid, extra)

    async def _review_access(self, caller: Caller, access: Access) -> bool:
        attributes = {
            "verb": access.verb,
            "group": access.group,
            "resource": access.resource,
            "subresource": access.subresource,
            "namespace": access.namespace,
        }
        spec = {
            "user": caller.name,
            "groups": caller.groups,
            "uid": caller.uid,
            "extra": dict(caller.extra),
            "resourceAttributes": attributes,
        }
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        status = (await self._ask(_ACCESS_REVIEWS, msgspec.json.encode(review), _AccessReview)).status
        return status.allowed and not status.denied

    async def _ask(self, path: str, body: bytes, kind: type[_Review]) -> _Review:
        try:
            answer = await self._client.request("POST", path, body=body, timeout_s=self._timeout_s)
            return msgspec.json.decode(answer, type=kind)
        except KubeError as error:
            raise AuthUnavailable(f"the cluster did not answer who may do this: {error}") from error
        except msgspec.DecodeError as error:
            raise AuthUnavailable(f"the cluster's answer to {path} is no review: {error}") from error


_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class _Recent(Generic[_Key, _Value]):
    """Answers for `ttl_s` after they were given; beyond `most` the least lately used one goes."""

    def __init__(self, ttl_s: float, most: int, clock: Callable[[], float]) -> None:
        self._ttl_s, self._most, self._clock = ttl_s, most, clock
        self._answers: OrderedDict[_Key, tuple[float, _Value]] = OrderedDict()

    def get(self, key: _Key) -> tuple[bool, _Value | None]:
        """Return (whether there is a fresh answer, that answer)."""
        entry = self._answers.get(key)
        if entry is None or self._clock() - entry[0] >= self._ttl_s:
            return False, None
        self._answers.move_to_end(key)
        return True, entry[1]

    def put(self, key: _Key, value: _Value) -> None:
        self._answers[key] = (self._clock(), value)
        self._answers.move_to_end(key)
        while len(self._answers) > self._most:
            self._answers.popitem(last=False)


class _User(msgspec.Struct):
    username: str = ""
    uid: str = ""
    groups: list[str] = msgspec.field(default_factory=list)
    extra: dict[str, list[str]] = msgspec.field(default_factory=dict)


class _TokenStatus(msgspec.Struct):
    authenticated: bool = False
    user: _User = msgspec.field(default_factory=_User)
    audiences: list[str] = msgspec.field(default_factory=list)


class _TokenReview(msgspec.Struct):
    status: _TokenStatus


class _AccessStatus(msgspec.Struct):
    allowed: bool = False
    denied: bool = False


class _AccessReview(msgspec.Struct):
    status: _AccessStatus


_Review = TypeVar("_Review", _TokenReview, _AccessReview)
