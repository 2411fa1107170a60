"""What every page has around it: head, header, and the headers that keep it safe."""

from importlib.resources import files

from starlette.responses import HTMLResponse, Response

from desireline.sidecar.http.markup import Child, Markup, element, render
from desireline.sidecar.http.refusals import NotFoundError
from desireline.sidecar.http.requests import Call
from desireline.sidecar.http.sign_ins import SignIn

#: Nothing but our own style sheet and icon; no script at all.
CONTENT_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'; object-src 'none'"
)

_ASSETS = {"desireline.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"}


def page_headers() -> dict[str, str]:
    """Return the headers of every page."""
    return {
        "Content-Security-Policy": CONTENT_POLICY,
        "Referrer-Policy": "no-referrer",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "no-store",
    }


def page(
    title: str,
    *content: Child,
    sign_in: SignIn | None = None,
    status: int = 200,
    refresh: str | None = None,
) -> Response:
    """Return a whole page; `refresh` is what its meta element of that name says."""
    again = element("meta", http_equiv="refresh", content=refresh) if refresh else None
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        again,
        element("title", f"{title} · desireline"),
        element("link", rel="icon", href="/static/icon.svg", type="image/svg+xml"),
        element("link", rel="stylesheet", href="/static/desireline.css"),
    )
    body = element("body", _header(sign_in), element("main", *content))
    document = Markup("<!doctype html>") + element("html", head, body, lang="en")
    return HTMLResponse(document, status, page_headers())


def form(action: str, sign_in: SignIn | None, *content: Child, class_: str | None = None) -> Markup:
    """Return a form that posts to our own page and carries our proof."""
    token = None
    if sign_in is not None:
        token = element("input", type="hidden", name="token", value=sign_in.form_token)
    return element("form", token, *content, method="post", action=action, class_=class_)


def _header(sign_in: SignIn | None) -> Markup:
    home = element(
        "a",
        element("img", src="/static/icon.svg", alt="", width=24, height=24),
        "desireline",
        href="/",
        class_="home",
    )
    return element("header", home, None if sign_in is None else _sign_out(sign_in))


def _sign_out(sign_in: SignIn) -> Markup:
    who = element("span", sign_in.key.name, class_="who")
    return form("/logout", sign_in, who, element("button", "Sign out", class_="quiet"))


async def asset(call: Call) -> Response:
    """Return the style sheet or the icon."""
    name = call.arguments["name"]
    if name not in _ASSETS:
        raise NotFoundError("there is no such file")
    content = files("desireline.sidecar.http").joinpath("static", name).read_bytes()
    headers = {"Cache-Control": "public, max-age=3600"}
    return Response(content, headers=headers, media_type=_ASSETS[name])


def paragraphs(*lines: str) -> Markup:
    """Return each line as a paragraph; empty ones are left out."""
    return render([element("p", line) for line in lines if line])
