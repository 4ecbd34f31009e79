"""GraphQL over HTTP, with an access token."""

from typing import Any

import httpx

from reelgraph.demo.failure import DemoFailed

Json = dict[str, Any]


class Client:
    """One signed-in client."""

    def __init__(self, http: httpx.AsyncClient, token: str) -> None:
        """Send the token with GraphQL only: signed media URLs carry their own right."""
        self._http = http
        self._token = token

    async def ask(self, document: str, **variables: object) -> Json:
        """The operation's data; raises DemoFailed with the errors, if there are any."""
        response = await self._http.post(
            "/graphql",
            json={"query": document, "variables": variables},
            headers={"Authorization": f"Bearer {self._token}"},
        )
        if response.headers.get("content-type", "").partition(";")[0] != "application/json":
            raise DemoFailed(f"POST /graphql was answered with {response.status_code}: {response.text[:300]}")
        return data_of(response.json())

    async def do(self, document: str, **values: object) -> Json:
        """What a mutation answers to this input; raises DemoFailed with the message of a refusal."""
        answer: Json = (await self.ask(document, input=values))["answer"]
        if "code" in answer:
            problems = [f"{each['path']}: {each['message']}" for each in answer.get("problems", ())]
            raise DemoFailed("\n  ".join([f"refused with {answer['code']}: {answer['message']}", *problems]))
        return answer


def data_of(response: Json) -> Json:
    """The data of a GraphQL response without errors; raises DemoFailed otherwise."""
    if errors := response.get("errors"):
        raise DemoFailed("; ".join(error["message"] for error in errors))
    return response["data"]
