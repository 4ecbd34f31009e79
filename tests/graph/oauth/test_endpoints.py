import logging

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata

pytestmark = pytest.mark.anyio


async def test_the_discovery_document_tells_what_there_is_and_nothing_else(site):
    answer = await site.browser.get("/.well-known/oauth-authorization-server")
    url = site.settings.public_url
    assert answer.json() == {
        "issuer": url,
        "authorization_endpoint": f"{url}/oauth/authorize",
        "token_endpoint": f"{url}/oauth/token",
        "jwks_uri": f"{url}/oauth/jwks",
        "scopes_supported": ["projects:write", "uploads:write", "renders:write", "admin"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
    }
    AuthorizationServerMetadata(answer.json()).validate()
    for address in ("authorization_endpoint", "jwks_uri"):
        assert (await site.browser.get(answer.json()[address])).status_code in (200, 400)


async def test_the_key_set_holds_public_keys_only(site):
    answer = await site.browser.get("/oauth/jwks")
    (key,) = answer.json()["keys"]
    assert key.keys() == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    assert (key["kty"], key["crv"], key["use"], key["alg"]) == ("EC", "P-256", "sig", "ES256")
    assert answer.headers["cache-control"] == "public, max-age=300"


async def test_tokens_are_asked_for_by_post_only(site):
    assert (await site.browser.get("/oauth/token")).status_code == 405


async def test_no_secret_is_logged(site, caplog):
    caplog.set_level(logging.DEBUG)
    logging.getLogger("sqlalchemy").setLevel(logging.WARNING)
    given = await site.tokens()
    again = (await site.refresh(given["refresh_token"])).json()
    secrets = [given["access_token"], given["refresh_token"], again["access_token"], again["refresh_token"]]
    assert not any(secret in caplog.text for secret in [*secrets, "difference engine"])
