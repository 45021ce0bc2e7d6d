"""A person at a browser, as far as oidc-provider's own forms need one."""

import http.cookiejar
import re
import ssl
import urllib.error
import urllib.parse
import urllib.request


class Stop(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def log_in(url, ca, name, code=""):
    """Follows the provider's pages, fills its forms, the one for a device's code too, and goes where it sends the browser in the end:
    back to a login on this machine, or to a page without a form."""
    context = ssl.create_default_context(cafile=ca)
    cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), cookies, Stop)
    body = None
    for _ in range(20):
        try:
            answer = opener.open(url, data=body, timeout=10)
        except urllib.error.HTTPError as error:
            answer = error
        if answer.status in (301, 302, 303, 307):
            url, body = urllib.parse.urljoin(url, answer.headers["location"]), None
            continue
        text = answer.read().decode()
        if url.startswith("http://127.0.0.1:"):
            return answer.status, text
        assert answer.status == 200, (url, answer.status, text)
        action = re.search(r'<form[^>]*action="([^"]*)"', text)
        if not action:
            return answer.status, text
        given = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', text))
        assert given, text
        fields = {"login": name, "password": "any", "user_code": code, **given}
        url, body = urllib.parse.urljoin(url, action[1]), urllib.parse.urlencode(fields).encode()
    raise AssertionError("the provider's pages have no end")
