import pytest

from domain.credential import digest_of, is_secret_of, new_secret
from domain.oauth_client import OAuthClient, clean_redirect_uri, scope_text, scopes_in
from domain.refusals import InvalidInput
from domain.viewer import Scope


def client(*uris: str, scope: str = "projects:write uploads:write admin") -> OAuthClient:
    return OAuthClient(name="Cutter", redirect_uris=list(uris), scope=scope)


@pytest.mark.parametrize(
    "uri",
    [
        "https://app.example/done",
        "https://app.example",
        "https://app.example:8443/done?x=1",
        "http://127.0.0.1/callback",
        "http://127.0.0.1:5000/callback",
        "http://[::1]/callback",
        "http://localhost:5173/",
        "com.example.app:/done",
    ],
)
def test_a_redirect_uri_is_https_or_of_this_machine_or_of_an_app(uri):
    assert clean_redirect_uri(f" {uri} ") == uri


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "http://app.example/done",
        "http://127.0.0.1.example/done",
        "http://127.0.0.1@example.com/",
        "https://user@app.example/done",
        "https://*.app.example/done",
        "https://app.example/done#here",
        "https://app.example\\@evil.example/",
        "https://app.example/a b",
        "https://ápp.example/",
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "app:/done",
        "//app.example/done",
        "/done",
        "https://app.example/" + "x" * 2000,
    ],
)
def test_anything_else_is_refused(uri):
    with pytest.raises(InvalidInput):
        clean_redirect_uri(uri)


def test_a_redirect_goes_where_it_is_registered_to_the_letter():
    app = client("https://app.example/done?x=1")
    assert app.may_redirect_to("https://app.example/done?x=1")
    for other in ("https://app.example/done", "https://app.example:443/done?x=1", "https://APP.example/done?x=1", ""):
        assert not app.may_redirect_to(other)


def test_a_program_on_this_machine_may_listen_on_any_port():
    program = client("http://127.0.0.1/callback", "http://[::1]:1/callback")
    assert program.may_redirect_to("http://127.0.0.1:4711/callback")
    assert program.may_redirect_to("http://[::1]/callback")
    assert program.may_redirect_to("http://[::1]:65535/callback")
    for other in (
        "http://127.0.0.1:65536/callback",
        "http://127.0.0.1:4711/callback/",
        "http://127.0.0.2:4711/callback",
        "http://localhost:4711/callback",
        "https://127.0.0.1:4711/callback",
        "http://127.0.0.1:4711@evil.example/callback",
        "http://127.0.0.1:4711/callback#x",
        "http://127.0.0.1:\u0661/callback",
    ):
        assert not program.may_redirect_to(other)
    assert not client("https://app.example/callback").may_redirect_to("http://127.0.0.1/callback")


def test_a_client_gets_of_what_it_asks_for_what_it_may_have():
    app = client()
    every = frozenset(Scope)
    assert app.grants(None, to_admin=True) == {Scope.PROJECTS_WRITE, Scope.UPLOADS_WRITE}
    assert app.grants(every, to_admin=True) == {Scope.PROJECTS_WRITE, Scope.UPLOADS_WRITE, Scope.ADMIN}
    assert app.grants(every, to_admin=False) == {Scope.PROJECTS_WRITE, Scope.UPLOADS_WRITE}
    assert app.grants(frozenset(), to_admin=True) == frozenset()
    assert app.grants(frozenset({Scope.RENDERS_WRITE}), to_admin=True) == frozenset()


def test_scopes_are_written_in_one_order_and_read_in_any():
    text = scope_text({Scope.ADMIN, Scope.PROJECTS_WRITE})
    assert text == "projects:write admin"
    assert scopes_in("  admin dance projects:write admin ") == {Scope.ADMIN, Scope.PROJECTS_WRITE}
    assert scopes_in("") == frozenset()


def test_a_secret_is_known_by_its_digest():
    secret = new_secret()
    assert len(secret) == 43
    app = client()
    assert app.is_public
    assert not app.knows(secret)
    app.secret_digest = digest_of(secret)
    assert not app.is_public
    assert app.knows(secret)
    assert not app.knows(secret[:-1])
    assert is_secret_of(digest_of(""), "")
