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


def log_in(url, ca, name):
    """Follows the provider's pages, fills its forms, and goes where it sends the browser in the end."""
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
        prompt = re.search(r'name="prompt" value="(\w+)"', text)
        assert action and prompt, text
        fields = {"prompt": prompt[1], "login": name, "password": "any"}
        url, body = urllib.parse.urljoin(url, action[1]), urllib.parse.urlencode(fields).encode()
    raise AssertionError("the provider's pages have no end")
