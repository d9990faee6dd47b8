"""Scenarios of pages_in_browser.rs: what an operator does with the pages in Chromium, driven by its DevTools protocol.

Arguments: the scenario, and the address of a program that runs with its sandbox. Exits with an error at the first failed
check.
"""

import base64
import importlib.resources
import json
import os
import re
import shutil
import socket
import sys
import threading
from contextlib import contextmanager, suppress
from datetime import date, datetime, timedelta, timezone
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

from playwright.sync_api import Page, expect, sync_playwright

SAID = "Hello, this is a test call. Please ship order forty two to Ahoy Street before Friday."
NUMBER = "14155551234"

# From dialing to the text takes about 15 seconds, and longer on a busy machine.
expect.set_options(timeout=90_000)


def get(base: str, path: str, accept: str = "*/*") -> str:
    with urlopen(Request(base + path, headers={"Accept": accept})) as answer:
        return answer.read().decode()


def post(base: str, path: str, fields: dict[str, str]):
    headers = {"Content-Type": "application/json"}
    urlopen(Request(base + path, json.dumps(fields).encode(), headers)).close()


def fetch(base: str, path: str, fields: dict) -> str:
    """The answer to these fields."""
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    with urlopen(Request(base + path, json.dumps(fields).encode(), headers)) as answer:
        return answer.read().decode()


def send(base: str, method: str, path: str, body: dict):
    """Sends JSON, as curl does."""
    request = Request(base + path, json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method)
    with urlopen(request) as answer:
        answer.read()


class Browser:
    """A window that records what must not happen: foreign requests, errors, console messages, dialogs."""

    def __init__(self, base: str, chromium, **options):
        self.base = base
        self.context = chromium.new_context(base_url=base, **options)
        self.context.set_default_timeout(90_000)
        self.wrong: list[str] = []
        # What the console may say besides.
        self.expected = ""
        self.context.on("request", self.look_at)
        self.context.on("weberror", lambda error: self.wrong.append(f"an error on a page: {error.error}"))
        self.context.on("console", self.hear)
        self.context.on("dialog", lambda dialog: self.wrong.append(f"a dialog: {dialog.message}"))

    def look_at(self, request):
        if urlsplit(request.url).netloc != urlsplit(self.base).netloc and not request.url.startswith("blob:"):
            self.wrong.append(f"a request to another host: {request.url}")

    def hear(self, message):
        # Chromium logs every page with an error status, and the scenarios visit such pages on purpose.
        is_expected = re.search(r"status of (410|404) ", message.text) and "/calls/CA" in message.location["url"]
        is_expected = is_expected or (self.expected and re.search(self.expected, message.text))
        if message.type in ("error", "warning") and not is_expected:
            self.wrong.append(f"console: {message.text} {message.location['url']}")

    def page(self) -> Page:
        return self.context.new_page()

    def close(self):
        self.context.close()
        assert not self.wrong, self.wrong


@contextmanager
def browser(base: str, **options):
    with sync_playwright() as playwright:
        # Chromium refuses to run as root with its own sandbox. It opens only our pages.
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        window = Browser(base, chromium, **options)
        yield window
        window.close()
        chromium.close()


def dial(page: Page, number: str = NUMBER, keyterms: str = "Ahoy") -> str:
    """Dials through the form. Returns the call SID."""
    page.goto("/")
    page.get_by_label("Number, with country code").fill(f"+{number[0]} ({number[1:4]}) {number[4:7]}-{number[7:]}")
    page.get_by_label("Key terms").fill(keyterms)
    page.get_by_role("button", name="Dial").click()
    page.wait_for_url("**/calls/CA*")
    expect(page.locator(".sentence")).to_have_text(re.compile(rf"^dialing \+{number}\. call SID is: CA[0-9a-f]{{32}}$"))
    return urlsplit(page.url).path.rsplit("/", 1)[1]


def dial_by_url(base: str, number: str) -> str:
    """Dials with GET /dial/<number>, as curl does. Returns the call SID."""
    return get(base, f"/dial/{number}").split()[-1]


def is_done(page: Page):
    expect(page.locator("#state strong")).to_have_text("Done")
    expect(page.locator(".text")).to_contain_text("Friday.")


def time(page: Page) -> float:
    return page.eval_on_selector("audio", "audio => audio.currentTime")


def stands_at(page: Page, start_ms: float):
    page.wait_for_function("start => Math.abs(document.querySelector('audio').currentTime - start) < 0.1", arg=start_ms / 1000)


def follows(base: str):
    """An open page follows a call to its transcript; the reader plays, copies and downloads it."""
    with browser(base, permissions=["clipboard-read", "clipboard-write"]) as window:
        page = window.page()
        home = window.page()
        home.goto("/")
        expect(home.locator("#none")).to_be_visible()
        call = dial(page)
        page.evaluate(
            """() => {
                window.isTheSame = true;
                window.seen = new Set();
                const look = () => document.querySelectorAll('#state > *').forEach((part) => window.seen.add(part.textContent));
                new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
                look();
            }"""
        )
        is_done(page)
        assert page.evaluate("window.isTheSame"), "the page was reloaded"
        seen = page.evaluate("[...window.seen]")
        assert {"On the phone", "Recording in progress.", "Transcribing", "Done"} <= set(seen), seen
        expect(page.locator("#steps .past")).to_have_count(7)
        # The list has been open since before the call.
        expect(home.locator("#calls li .state")).to_have_text("Done")
        expect(home.locator("#calls li .words")).to_have_text(SAID)

        # The recording plays, and the spoken word is marked.
        page.eval_on_selector("audio", "audio => { audio.muted = audio.loop = true; return audio.play(); }")
        page.wait_for_function("() => document.querySelector('audio').currentTime > 0.3")
        expect(page.locator(".text .spoken")).to_have_count(1)
        page.locator(".text").focus()
        for key, is_paused in [("Space", True), ("Space", False), ("Space", True)]:
            page.keyboard.press(key)
            page.wait_for_function("is_paused => document.querySelector('audio').paused === is_paused", arg=is_paused)
        page.eval_on_selector("audio", "audio => { audio.play = () => Promise.resolve(); }")
        word = page.locator(".text [data-start]:not(.from)", has_text="forty")
        word.click()
        stands_at(page, float(word.get_attribute("data-start")))
        expect(word).to_have_class(re.compile("spoken"))
        page.locator(".text").focus()
        page.keyboard.press("ArrowRight")
        after = page.locator(".text [data-start]:not(.from)", has_text="two")
        stands_at(page, float(after.get_attribute("data-start")))
        # A click on a marked word also shows AssemblyAI's confidence in it.
        doubtful = page.locator(".text mark")
        assert re.fullmatch(r"\d+% sure", doubtful.get_attribute("title"))
        doubtful.click()
        expect(page.locator(".legend output")).to_have_text(f"“{doubtful.inner_text()}”: {doubtful.get_attribute('title')}.")

        page.get_by_role("button", name="Copy").click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == SAID
        transcript = json.loads(get(base, f"/calls/{call}"))["transcripts"][0]["id"]
        for name, form in [("Text", "text"), ("SRT", "srt"), ("VTT", "vtt"), ("JSON", "json")]:
            with page.expect_download() as download:
                page.get_by_role("link", name=name, exact=True).click()
            with open(download.value.path(), encoding="utf-8") as file:
                assert file.read() == get(base, f"/transcript/{transcript}?format={form}"), name
            extension = {"text": "txt"}.get(form, form)
            assert download.value.suggested_filename.endswith(f".{extension}"), download.value.suggested_filename


def talks(base: str):
    """A conversation: the operator watches both phones, names a speaker and swaps the sides, and every format follows."""
    with browser(base, permissions=["clipboard-read", "clipboard-write"]) as window:
        page = window.page()
        page.goto("/")
        page.get_by_label("Number, with country code").fill("+1 415 555 0131")
        page.get_by_label("What to do").select_option("Talk: ring +14155550100 first")
        page.get_by_role("button", name="Dial").click()
        page.wait_for_url("**/calls/CA*")
        call = urlsplit(page.url).path.rsplit("/", 1)[1]
        page.evaluate(
            """() => {
                window.isTheSame = true;
                window.seen = new Set();
                const look = () => document.querySelectorAll('#legs li').forEach((leg) => window.seen.add(leg.textContent));
                new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
                look();
            }"""
        )
        is_done(page)
        seen = page.evaluate("[...window.seen]")
        for phone in ["Your phone +14155550100", "Other side +14155550131"]:
            states = {leg.removeprefix(f"{phone}: ") for leg in seen if leg.startswith(phone)}
            assert {"ringing", "on the phone", "hung up"} <= states, seen

        transcript = json.loads(get(base, f"/calls/{call}"))["transcripts"][0]["id"]

        def say(of_operator: str, of_party: str):
            """The page, what it copies and each file have these names, each with what that side said."""
            expect(page.locator("#speakers summary")).to_have_text(f"Speakers: {of_operator}, {of_party}")
            said = [(of_party, "Hello, this is"), (of_operator, "Hello, I have the chart open.")]
            for paragraph, (name, words) in zip(page.locator(".text p").all()[:2], said, strict=True):
                expect(paragraph.locator("b")).to_have_text(f"{name}:")
                expect(paragraph).to_contain_text(words)
            lines = [f"{name}: {words}" for name, words in said]
            page.get_by_role("button", name="Copy").click()
            expect(page.get_by_role("button", name="Copied")).to_be_visible()
            copied = page.evaluate("navigator.clipboard.readText()").split("\n\n")
            assert all(line.startswith(start) for line, start in zip(copied, lines)), copied
            for name, spoken in [("Text", "{}: {}"), ("SRT", "{}: {}"), ("VTT", "<v {}>{}")]:
                with page.expect_download() as download:
                    page.get_by_role("link", name=name, exact=True).click()
                with open(download.value.path(), encoding="utf-8") as file:
                    # Captions break lines.
                    text = " ".join(file.read().split())
                for start in said:
                    assert spoken.format(*start) in text, (name, text)

        say("Operator", "Callee")
        page.locator("#speakers summary").click()
        page.get_by_label("Channel 1").fill("Dana")
        page.get_by_role("button", name="Save names").click()
        say("Dana", "Callee")
        page.get_by_text("Name this number").click()
        page.get_by_label("Name of +14155550131").fill("Siobhan Kowalczyk")
        page.get_by_role("button", name="Save", exact=True).click()
        say("Dana", "Siobhan Kowalczyk")
        page.locator("#speakers summary").click()
        page.get_by_role("button", name="Swap the sides").click()
        expect(page.locator("#speakers summary")).to_have_text("Speakers: Siobhan Kowalczyk, Dana")
        say("Siobhan Kowalczyk", "Dana")


# Records layout shifts without user input.
SHIFTS = """
    window.shifts = [];
    new PerformanceObserver((list) => {
        for (const { hadRecentInput, value, sources } of list.getEntries()) {
            const moved = ({ node, previousRect, currentRect }) =>
                `${node?.id || node?.className || node?.nodeName} from ${previousRect.y} to ${currentRect.y}`;
            // Chromium's own audio player shifts inside its frame while it loads, by less than 0.001.
            if (!hadRecentInput && value > 0.003) window.shifts.push([value, ...sources.map(moved)]);
        }
    }).observe({ type: 'layout-shift', buffered: true });
"""


# Short labels that wrap to a second line or overflow their parent.
BROKEN = """() => {
    const lines = (part) => {
        const range = document.createRange();
        range.selectNodeContents(part);
        return new Set([...range.getClientRects()].map(({ top }) => top)).size;
    };
    const parts = document.querySelectorAll('.calls :is(.state, .length, time), .steps :is(.step, time)');
    const sticksOut = (part) => part.getBoundingClientRect().right > part.parentElement.getBoundingClientRect().right + 1;
    return [...parts].filter((part) => lines(part) > 1 || sticksOut(part)).map((part) => part.textContent);
}"""


def is_not_disturbed(base: str):
    """While calls progress, open pages do not shift, on a phone and on a desktop."""
    with browser(base) as window:
        oldest = dial_by_url(base, "14155550200")
        page = window.page()
        page.goto(f"/calls/{oldest}")
        expect(page.locator("#state strong")).to_have_text(re.compile("^(Done|No transcript)$"))
        page.close()

        open_pages = []

        def watch(path: str):
            for width in [360, 1280]:
                page = window.page()
                page.set_viewport_size({"width": width, "height": 800})
                page.add_init_script(SHIFTS)
                page.goto(path)
                open_pages.append((f"{path} at {width}", page))

        watch("/")
        viewed = dial_by_url(base, "14155550201")
        watch(f"/calls/{viewed}")
        lists, calls = [page for _, page in open_pages[:2]], [page for _, page in open_pages[2:]]
        for page in lists:
            expect(page.locator(f"#fresh #call-{viewed}")).to_be_visible()
        newest = dial_by_url(base, "14155550202")
        for page in lists:
            expect(page.locator(f"#fresh #call-{newest}")).to_be_visible()
            expect(page.get_by_role("button", name="1 more")).to_be_visible()
        for page in calls:
            expect(page.locator("#state strong")).to_have_text(re.compile("^(Done|No transcript)$"))
        for page in lists:
            expect(page.locator("#fresh .state")).to_have_text(re.compile("^(Done|No transcript)$"))
        for name, page in open_pages:
            assert page.evaluate(BROKEN) == [], name
        shifts = {name: page.evaluate("window.shifts") for name, page in open_pages}
        assert not any(shifts.values()), f"content shifted: {shifts}"

        # With the widest times, and every step emphasized.
        for page in calls:
            page.evaluate("document.querySelectorAll('.steps li').forEach((step) => { step.className = 'now'; })")
            page.evaluate("document.querySelectorAll('.steps time').forEach((at) => { at.textContent = '12:34:56 PM'; })")
            assert page.evaluate(BROKEN) == []

        for page in lists:
            page.get_by_role("button", name="1 more").click()
            order = [f"call-{call}" for call in [newest, viewed, oldest]]
            page.wait_for_function(
                "order => [...document.querySelectorAll('#calls li')].map((row) => row.id).join() === order", arg=",".join(order)
            )
            expect(page.locator("#next")).to_be_visible()


def loses_no_call(base: str):
    """However many calls arrive while a list is open, its link to older calls leads to all the others."""
    with browser(base) as window:
        pages = [window.page() for _ in range(2)]
        calls = [dial_by_url(base, f"141555501{n:02}") for n in range(2)]
        for page, path in zip(pages, ["/", "/calls"]):
            page.goto(path)
            expect(page.get_by_role("link", name="Older")).to_have_count(0)
        calls += [dial_by_url(base, f"141555501{n:02}") for n in range(2, 54)]
        newest_first = [f"call-{call}" for call in reversed(calls)]
        rows = "(rows) => rows.map((row) => row.id)"
        for page in pages:
            expect(page.locator(f"#call-{calls[-1]}")).to_be_visible()
            shown = page.locator(".calls li[data-live]")
            if page.locator("#more").inner_text():
                page.locator("#more").click()
            expect(shown).to_have_count(50)
            assert shown.evaluate_all(rows) == newest_first[:50]
            page.get_by_role("link", name="Older").click()
            page.wait_for_url(re.compile("/(calls|items)[?]after="))
            assert shown.evaluate_all(rows) == newest_first[50:]


def finds(base: str):
    """Search finds and plays what was said; a deleted call disappears from open pages."""
    with browser(base) as window:
        page = window.page()
        call = dial(page)
        is_done(page)
        search = window.page()
        # If the audio played on, a slow browser would look after the word had passed.
        search.add_init_script(
            "HTMLMediaElement.prototype.play = function () { window.plays = true; return Promise.resolve(); }"
        )
        search.goto("/calls")
        search.get_by_label("Search transcripts").fill('"ship order" ah*')
        search.get_by_role("button", name="Search").click()
        expect(search.locator(".hits li")).to_have_count(1)
        expect(search.locator(".hits mark").first).to_have_text("ship order")
        moment = json.loads(get(base, "/calls?q=%22ship+order%22"))["hits"][0]["at_ms"]
        search.locator(".hits a.parties").click()
        search.wait_for_url(f"**/calls/{call}?q=*#RE*@{moment}")
        stands_at(search, moment)
        search.wait_for_function("() => window.plays")
        expect(search.locator(".text .spoken")).to_have_text("ship")

        # What was found is marked, and can be stepped through.
        expect(search.locator(".text .found")).to_have_text(["ship", "order", "Ahoy"])
        steps = [("Next", "Ahoy", "2 / 2"), ("Next", "ship", "1 / 2"), ("Previous", "Ahoy", "2 / 2")]
        for button, word, place in steps:
            search.get_by_role("button", name=button, exact=True).click()
            expect(search.locator(".text .here")).to_have_text(word)
            expect(search.locator(".finds output")).to_have_text(place)
            stands_at(search, float(search.locator(".text .here").get_attribute("data-start")))

        # The way back leads to the hits, where they play in place.
        search.get_by_role("link", name="Back to the search").click()
        search.wait_for_url("**/calls?q=*")
        search.get_by_role("link", name="Play from").click()
        expect(search.locator(".hits audio")).to_be_focused()
        stands_at(search, moment)
        search.get_by_role("link", name=re.compile(r"\bto\b")).click()
        search.wait_for_url(f"**/calls/{call}?q=*")

        page.get_by_role("link", name="Delete…").click()
        expect(page.locator("main")).to_contain_text("At Twilio")
        expect(page.locator("main")).to_contain_text("At AssemblyAI")
        page.get_by_role("button", name="Delete permanently").click()
        # The page that shows the deletion and the page that was open before both end at "gone".
        for shown in [page, search]:
            expect(shown.locator("h1")).to_have_text("Deleted")
        page.goto("/calls")
        expect(page.locator("#none")).to_be_visible()
        page.goto("/calls?q=ship")
        expect(page.get_by_role("status")).to_have_text("Nothing found.")


def finds_by_day(base: str):
    """The days of the form are days of the reader, also where a day has 23 or 25 hours; a link keeps what it names."""
    call = dial_by_url(base, NUMBER)
    # Where it is yesterday or tomorrow now, seen from UTC.
    zone = "Etc/GMT+12" if datetime.now(timezone.utc).hour < 11 else "Pacific/Kiritimati"
    with browser(base, timezone_id=zone, locale="en-CA") as window:
        page = window.page()
        page.goto("/calls")
        began = page.locator(f"#call-{call} time").get_attribute("datetime")
        day = page.evaluate("at => { const on = new Date(at); return new Date(on - on.getTimezoneOffset() * 60000).toISOString().slice(0, 10); }", began)
        search(page, day, day)
        expect(page.locator(f"#call-{call}")).to_be_visible()
        for label in ["From", "Until"]:
            expect(page.get_by_label(label)).to_have_value(day)
        link = page.url
        for other in [(-1, -1), (1, 1)]:
            search(page, *[shifted(day, days) for days in other])
            expect(page.locator("#none")).to_be_visible()
    # Opened elsewhere, the link finds the same, also after a further search.
    with browser(base, timezone_id="America/Los_Angeles") as window:
        page = window.page()
        page.goto(link)
        expect(page.locator(f"#call-{call}")).to_be_visible()
        page.get_by_label("Number").fill(NUMBER[-4:])
        page.get_by_role("button", name="Search").click()
        page.wait_for_url("**number=*")
        expect(page.locator(f"#call-{call}")).to_be_visible()
        assert parse_qs(urlsplit(page.url).query)["since"] == parse_qs(urlsplit(link).query)["since"]

    for zone, day, since, until in [
        ("America/Los_Angeles", "2026-03-08", "2026-03-08T00:00:00.000-08:00", "2026-03-08T23:59:59.999-07:00"),
        ("America/Los_Angeles", "2026-11-01", "2026-11-01T00:00:00.000-07:00", "2026-11-01T23:59:59.999-08:00"),
        # This day begins at 1:00.
        ("Africa/Cairo", "2026-04-24", "2026-04-24T01:00:00.000+03:00", "2026-04-24T23:59:59.999+03:00"),
        ("Asia/Kathmandu", "2026-11-28", "2026-11-28T00:00:00.000+05:45", "2026-11-28T23:59:59.999+05:45"),
        ("America/St_Johns", "2026-11-28", "2026-11-28T00:00:00.000-03:30", "2026-11-28T23:59:59.999-03:30"),
    ]:
        with browser(base, timezone_id=zone) as window:
            page = window.page()
            page.goto("/calls")
            search(page, day, day)
            expect(page.get_by_label("From")).to_have_value(day)
            named = parse_qs(urlsplit(page.url).query)
            assert (named["since"], named["until"]) == ([since], [until]), named


def search(page: Page, since: str, until: str):
    """Searches for calls from one day until another."""
    page.get_by_label("From").fill(since)
    page.get_by_label("Until").fill(until)
    with page.expect_navigation():
        page.get_by_role("button", name="Search").click()


def shifted(day: str, days: int) -> str:
    return str(date.fromisoformat(day) + timedelta(days))


class Wire:
    """A port of this computer that leads to the program, as long as it is not cut or held."""

    def __init__(self, base: str):
        self.there = urlsplit(base).hostname, urlsplit(base).port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.base = f"http://127.0.0.1:{self.port}"
        self.ends: list[socket.socket] = []
        self.flows, self.answers = threading.Event(), threading.Event()
        self.release()
        threading.Thread(target=self.accept, args=[self.listener], daemon=True).start()

    def accept(self, listener):
        while True:
            try:
                near = listener.accept()[0]
            except OSError:
                return
            far = socket.create_connection(self.there)
            self.ends += [near, far]
            for one, other, may_pass in [(near, far, self.flows), (far, near, self.answers)]:
                threading.Thread(target=self.carry, args=[one, other, may_pass], daemon=True).start()

    def carry(self, one, other, may_pass):
        try:
            while piece := one.recv(65536):
                may_pass.wait()
                other.sendall(piece)
        except OSError:
            pass
        for end in [one, other]:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self):
        """Refuses connections, and closes those that are open."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for end in self.ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self.ends.clear()

    def mend(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self.accept, args=[self.listener], daemon=True).start()

    def hold(self):
        """Keeps connections open, and passes nothing on."""
        self.flows.clear()
        self.answers.clear()

    def mute(self):
        """Passes on requests, and no answers."""
        self.answers.clear()

    def release(self):
        self.flows.set()
        self.answers.set()


def says_what_it_is_connected_to(base: str):
    """A page says that its server is gone, or silent, and that it is back; then it is up to date."""
    wire = Wire(base)
    with browser(wire.base) as window:
        window.expected = "ERR_"
        pages = [window.page() for _ in range(2)]
        for page, path in zip(pages, ["/", "/transcribe"]):
            page.goto(path)
            expect(page.locator("#connection")).to_be_hidden()
        for lose, find in [(wire.cut, wire.mend), (wire.hold, wire.release)]:
            # Only the page in front has a stream, where the browser tells.
            pages[0].bring_to_front()
            lose()
            for page in pages:
                page.bring_to_front()
                expect(page.locator("#connection")).to_contain_text("No connection")
            call = dial_by_url(base, NUMBER)
            find()
            for page in pages:
                page.bring_to_front()
                expect(page.locator("#connection")).to_contain_text("Connected again")
            pages[0].bring_to_front()
            expect(pages[0].locator(f"#call-{call}")).to_be_visible()
            expect(pages[0].locator(f"#call-{call} .state")).to_have_text("Done")


def logs_in(base: str):
    """A browser from elsewhere is led to the log-in page and back. A session that ends loses nothing that was typed."""
    with browser(base, extra_http_headers={"x-forwarded-for": "203.0.113.7"}) as window:
        window.expected = "status of 401 "
        page = window.page()

        def log_in():
            page.get_by_label("Operator token").fill(os.environ["TOKEN"])
            page.get_by_role("button", name="Log in").click()

        page.goto("/calls?number=1234")
        assert urlsplit(page.url).path == "/login", page.url
        log_in()
        page.wait_for_url("**/calls?number=1234")
        page.goto("/")
        page.get_by_label("Number, with country code").fill(f"+{NUMBER}")
        page.get_by_label("Key terms").fill("Ahoy, order")
        window.context.request.post(f"{base}/logout")
        expect(page.locator("#connection")).to_contain_text("You are logged out.")
        expect(page.get_by_label("Key terms")).to_have_value("Ahoy, order")
        page.get_by_role("button", name="Dial").click()
        log_in()
        expect(page.get_by_role("status").first).to_contain_text("Nothing was dialed")
        expect(page.get_by_label("Number, with country code")).to_have_value(f"+{NUMBER}")
        expect(page.get_by_label("Key terms")).to_have_value("Ahoy, order")
        page.get_by_role("button", name="Dial").click()
        page.wait_for_url("**/calls/CA*")
        # Nothing is typed here: the page itself goes to log in, and comes back.
        window.context.request.post(f"{base}/logout")
        page.wait_for_url("**/login?next=*")
        log_in()
        page.wait_for_url("**/calls/CA*")


def is_accessible(base: str):
    """axe-core finds no violations, no page is wider than the window, and little is transferred."""
    axe = importlib.resources.files("axe_playwright_python").joinpath("axe.min.js").read_text()
    with browser(base) as window:
        page = window.page()
        session = window.context.new_cdp_session(page)
        transferred = []
        session.on("Network.loadingFinished", lambda finished: transferred.append(finished["encodedDataLength"]))
        session.send("Network.enable")
        call = dial(page)
        paths = {"calling": f"/calls/{call}", "home": "/"}
        check_pages(window, axe, paths)
        page.goto(f"/calls/{call}")
        is_done(page)
        # Long names, without spaces, in a call with two speakers.
        conversation = dial_by_url(base, "14155550131?with=me")
        post(base, "/contacts/+14155550131", {"name": "x" * 200})
        page.goto(f"/calls/{conversation}")
        expect(page.locator("#state strong")).to_have_text("Done")
        post(base, f"/calls/{conversation}/speakers", {"1": "w" * 200})
        page.goto(f"/calls/{call}")
        page.get_by_role("button", name="Checked by ear").click()
        expect(page.locator(".tools")).to_contain_text("Checked by this computer")
        transcript = json.loads(get(base, f"/calls/{conversation}", "application/json"))["transcripts"][0]["id"]
        blind_check = f"/transcript/{transcript}/blind-check"
        page.goto(blind_check)
        for field in page.locator("textarea").all():
            field.fill("I order a wrong word")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("Word error rate")).to_be_visible()
        # The cost, and then the trial, from its form.
        page.goto("/trials")
        page.get_by_label("Models").fill("universal-2")
        page.get_by_role("button", name="What does it cost?").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Try this?")
        page.evaluate(axe)
        assert not page.evaluate("axe.run()")["violations"]
        page.get_by_role("button", name="Try for").click()
        page.wait_for_url("**/trials/*")
        expect(page.get_by_role("status").first).to_contain_text("Done: 2 of 2 transcripts", timeout=30_000)
        expect(page.get_by_role("heading", name="On the same calls")).to_be_visible(timeout=30_000)
        trial = page.url
        # All that Twilio has is here already, which an import finds out.
        page.goto("/imports")
        page.get_by_label("Recordings since").fill("2026-01-01")
        page.get_by_role("button", name="What does it cost?").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Import these?")
        expect(page.get_by_role("status").first).to_contain_text("nothing to transcribe")
        page.evaluate(axe)
        assert not page.evaluate("axe.run()")["violations"]
        send(base, "POST", "/imports", {"since": "2026-01-01", "confirm": True})
        page.goto("/imports")
        page.locator("main li a").first.click()
        page.wait_for_url("**/imports/*")
        expect(page.locator("#state")).to_contain_text("Done")
        imported = page.url
        for path in ["/", f"/calls/{call}"]:
            session.send("Network.clearBrowserCache")
            transferred.clear()
            page.goto(path, wait_until="load")
            assert 0 < sum(transferred) < 60_000, f"{path}: {sum(transferred)} bytes"
        check_pages(
            window,
            axe,
            {
                "home": "/",
                "calls": "/calls",
                "hits": "/calls?q=order",
                "no hits": "/calls?q=nowhere",
                "call": f"/calls/{call}",
                "conversation": f"/calls/{conversation}",
                "long contact": "/contacts/+14155550131",
                "deletion": f"/calls/{call}/delete",
                "transcribe": "/transcribe",
                "contacts": "/contacts",
                "accuracy": "/accuracy?by=model,month",
                "blind check": blind_check,
                "typed blind check": f"{blind_check}?stretch=1",
                "trials": "/trials",
                "trial": trial,
                "imports": "/imports",
                "import": imported,
                "webhooks": "/webhooks",
                "deliveries": "/webhooks/deliveries",
                "cost": "/cost?zone=UTC",
                "costliest": "/items?sort=costliest",
                "contact": "/contacts/+14155551234",
                "deletion of all calls": "/contacts/+14155551234/delete-calls",
                "manual": "/help",
                "manual accuracy": "/help/accuracy",
                "manual routes": "/help/routes",
                "manual settings": "/help/settings",
                "problem": "/calls/CA00000000000000000000000000000000",
            },
        )


def uploads_many(base: str):
    """Several files are sent from the page, go on after a broken connection, and say what came of each."""
    axe = importlib.resources.files("axe_playwright_python").joinpath("axe.min.js").read_text()
    with open(os.environ["SPEECH"], "rb") as speech:
        speech = speech.read()

    def file(name: str, content: bytes) -> dict:
        return {"name": name, "mimeType": "audio/wav", "buffer": content}

    def may_be_closed(page: Page) -> bool:
        return page.evaluate("dispatchEvent(new Event('beforeunload', { cancelable: true }))")

    with browser(base, viewport={"width": 360, "height": 740}) as window:
        window.expected = "ERR_INTERNET_DISCONNECTED|ERR_FAILED"
        page = window.page()
        page.goto("/transcribe")
        assert may_be_closed(page)
        rows = page.locator("#sending li")
        page.get_by_label("Tag").fill("Spring")
        page.get_by_label("Audio or video files").set_input_files(
            [file("Rounds of a very long ward name without any spaces_" + "x" * 90 + ".wav", speech), file("notes.wav", b"no sound"), file("none.wav", b"")]
        )
        page.get_by_role("button", name="Upload and transcribe").click()
        expect(rows).to_have_count(3)
        expect(rows.nth(2).locator(".state")).to_have_text("Not transcribed: the file is empty")
        expect(rows.nth(0).locator(".state")).to_have_text("Transcribed")
        expect(rows.nth(1).locator(".state")).to_contain_text("Not transcribed: AssemblyAI: the sandbox transcribes only speech")
        expect(page.locator("#standing")).to_have_text("Some files were not sent. You can close this page, or try again.")
        expect(page.locator("#said")).to_have_text(re.compile(r"\.wav: (Transcribed|Not transcribed)"))
        assert may_be_closed(page)

        # The connection breaks in the middle of a large file: from its second piece on, until it is back.
        broken = []

        def cut(route):
            if route.request.method == "PATCH" and route.request.headers["upload-offset"] != "0":
                broken.append(route.request)
            if broken:
                route.abort("internetdisconnected")
            else:
                route.continue_()

        page.route("**/uploads/*", cut)
        with page.expect_file_chooser() as chooser:
            page.get_by_label("Audio or video files").click()
        chooser.value.set_files([file("large.wav", bytes(20 << 20))])
        page.get_by_role("button", name="Upload and transcribe").click()
        large = rows.nth(3)
        expect(large.locator(".state")).to_have_text("No connection, or callscribe is busy: continues automatically")
        expect(page.locator("#standing")).to_have_text("Keep this page open. Still to be sent: 1")
        assert not may_be_closed(page)
        for scheme in ["light", "dark"]:
            page.emulate_media(color_scheme=scheme)
            for width in [360, 1280]:
                page.set_viewport_size({"width": width, "height": 740})
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
                page.evaluate(axe)
                found = page.evaluate("axe.run()")["violations"]
                assert not found, found
                if folder := os.environ.get("SCREENSHOTS"):
                    page.screenshot(path=f"{folder}/uploads-{width}-{scheme}.png", full_page=True)
        page.unroute("**/uploads/*")
        expect(large.locator(".state")).to_contain_text("Not transcribed: AssemblyAI")
        offsets = page.evaluate("performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('/uploads')).length")
        assert offsets == 3, "no file was begun twice"

        # The same file again, dropped on the page.
        page.evaluate(
            """speech => {
                const files = new DataTransfer();
                const bytes = Uint8Array.from(atob(speech), (char) => char.charCodeAt(0));
                files.items.add(new File([bytes], 'copy.wav', { type: 'audio/wav' }));
                document.querySelector('h1').dispatchEvent(new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer: files }));
            }""",
            base64.b64encode(speech).decode(),
        )
        expect(rows.nth(4).locator(".state")).to_contain_text("The same file is here already, as Rounds")
        with page.expect_navigation():
            rows.nth(4).get_by_role("link", name="Open: copy.wav").click()
        expect(page.locator("h1")).to_contain_text("Rounds")
        expect(page.locator(".terms").first).to_have_text("Tag: Spring")

        # What is canceled is not sent.
        page.goto("/transcribe")
        window.context.set_offline(True)
        page.get_by_label("Audio or video files").set_input_files([file("unwanted.wav", b"unwanted")])
        page.get_by_role("button", name="Upload and transcribe").click()
        expect(rows.nth(0).locator(".state")).to_have_text("No connection, or callscribe is busy: continues automatically")
        rows.nth(0).get_by_role("button", name="Cancel: unwanted.wav").click()
        expect(rows).to_have_count(0)
        expect(page.locator("#standing")).to_be_hidden()
        window.context.set_offline(False)
        listed = json.loads(get(base, "/items?kind=upload"))["items"]
        assert sorted(item["title"][:6] for item in listed) == ["Rounds", "large", "notes"], listed


def follows_a_trial(base: str):
    """The page of a trial shows what happens without being loaded again, and leaves its reader where he is."""
    with browser(base) as window:
        page = window.page()
        call = dial(page)
        is_done(page)
        transcript = transcript_of(base, call)
        trial = json.loads(fetch(base, "/trials", {"calls": [call], "speech_models": ["universal-2", "assemblyai-stt-3-7"], "again": True, "confirm": True}))
        path = f"/trials/{trial['id']}"
        page.goto(path)
        page.evaluate("window.isSame = true")
        expect(page.locator("#state")).to_contain_text("Done: 2 of 2 transcripts")
        expect(page.get_by_text("Nothing differs.")).to_be_visible()
        expect(page.get_by_role("heading", name="On the same calls")).to_have_count(0)

        # Somebody corrects the call, so that there are figures and places.
        version = json.loads(get(base, f"/transcript/{transcript}?format=words"))["version"]
        post(base, f"/transcript/{transcript}/corrections", {"version": version, "from": 0, "to": 1, "text": "Goodbye,"})
        expect(page.get_by_role("heading", name="On the same calls")).to_be_visible()
        expect(page.get_by_role("cell", name="Goodbye,")).to_be_visible()
        expect(page.get_by_text("Nothing differs")).to_have_count(0)

        # The button that has the focus goes, and no other one gets it.
        page.get_by_role("button", name="Make the transcripts of Arm 2 the current ones").focus()
        post(base, f"{path}/choose", {"arm": 1})
        expect(page.locator("#choosing")).to_contain_text("are the current ones of their calls: 1 of 1 recordings.")
        expect(page.get_by_role("button", name="Arm 2")).to_have_count(0)
        assert page.evaluate("document.activeElement.id") == "deeds"

        # Who reads a place keeps it while there are other buttons above, and has the focus there when its row changes.
        place = page.locator("tr", has_text="Goodbye,").get_by_role("link")
        place.scroll_into_view_if_needed()
        place.focus()
        top = place.bounding_box()["y"]
        post(base, f"{path}/choose/undo", {})
        expect(page.locator("#choosing")).to_contain_text("are current again: 1 of 1 recordings.")
        expect(page.get_by_role("button", name="Arm 2")).to_be_visible()
        # The browser scrolls with its next frame.
        page.wait_for_function("top => document.activeElement.getBoundingClientRect().y === top", arg=top)
        post(base, f"/transcript/{transcript}/corrections", {"version": version + 1, "from": 0, "to": 1, "text": "Welcome,"})
        expect(page.get_by_role("cell", name="Welcome,")).to_be_visible()
        assert "#t=" in page.evaluate("document.activeElement.href")
        assert page.evaluate("window.isSame")


def check_pages(window: Browser, axe: str, paths: dict[str, str]):
    page = window.page()
    for scheme in ["light", "dark"]:
        page.emulate_media(color_scheme=scheme)
        for width in [360, 1280]:
            page.set_viewport_size({"width": width, "height": 800})
            for name, path in paths.items():
                page.goto(path)
                # The pages' Content-Security-Policy blocks foreign script elements, so axe is evaluated instead.
                page.evaluate(axe)
                found = page.evaluate("axe.run()")["violations"]
                violations = [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]
                assert not violations, f"{name}, {scheme}, {width}: {violations}"
                page_width = page.evaluate("document.scrollingElement.scrollWidth")
                assert page_width <= width, f"{name} at {width} is {page_width} wide"
                if folder := os.environ.get("SCREENSHOTS"):
                    page.screenshot(path=f"{folder}/{name}-{width}-{scheme}.png", full_page=True)
                # Of a row, our own number is cut off before that of the other side, also where the row says what it is.
                page.evaluate(
                    """() => {
                        for (const parties of document.querySelectorAll('.calls .parties:not(:has(.sort))')) {
                            parties.insertAdjacentHTML('afterbegin', '<span class="sort">Imported</span>');
                        }
                    }"""
                )
                cut = page.evaluate(
                    """() => {
                        const range = document.createRange();
                        const width = (part) => part.getBoundingClientRect().width;
                        const numbers = [...document.querySelectorAll('.calls .parties bdi:not(.own)')]
                            .filter((part) => part.textContent.startsWith('+'));
                        return numbers.filter((part) => range.selectNodeContents(part) || width(range) > width(part)).length;
                    }"""
                )
                assert cut == 0, f"{name} at {width} cuts off {cut} numbers"
                if name == "cost":
                    wide = "[...document.querySelectorAll('.figures')].some((table) => table.scrollWidth > table.clientWidth)"
                    assert not page.evaluate(wide), f"a table of {name} at {width} is cut off"
    page.close()


def follows_names(base: str):
    """A name that is given elsewhere reaches an open page, in its heading, its text, and what *Copy* copies."""
    with browser(base, permissions=["clipboard-read", "clipboard-write"]) as window:
        page = window.page()
        call = dial_by_url(base, "14155550131?with=me")
        page.goto(f"/calls/{call}")
        expect(page.locator("#state strong")).to_have_text("Done")
        expect(page.locator(".text b").first).to_have_text(re.compile("^(Operator|Callee):$"))
        page.evaluate("window.isTheSame = true")
        post(base, "/contacts/+14155550131", {"name": "Nurse Okafor"})
        expect(page.locator("h1 bdi")).to_have_text("Nurse Okafor")
        expect(page).to_have_title(re.compile("^Nurse Okafor · Done"))
        expect(page.locator(".text b", has_text="Nurse Okafor:").first).to_be_visible()
        post(base, f"/calls/{call}/speakers", {"1": "Dana"})
        expect(page.locator(".text b", has_text="Dana:").first).to_be_visible()
        page.get_by_role("button", name="Copy").click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert "Nurse Okafor: " in copied and "Dana: " in copied and "Operator" not in copied, copied
        assert page.evaluate("window.isTheSame"), "the page was reloaded"
        # Two clicks swap once.
        page.get_by_text("Speakers: ").click()
        page.get_by_role("button", name="Swap the sides").dblclick()
        # The second request takes the place of the first, so a wait for one navigation would fail.
        expect(page).to_have_url(re.compile("#speakers$"))
        first = json.loads(get(base, f"/calls/{call}"))["speakers"][0]
        assert (first["name"], first["role"]) == ("Nurse Okafor", "party"), first


def reads_on_a_phone(base: str):
    """On a phone, a finished transcript comes before its timeline, which is closed; beside the text, it is open."""
    with browser(base) as window:
        page = window.page()
        page.set_viewport_size({"width": 360, "height": 800})
        call = dial(page)
        expect(page.locator("#steps")).to_be_visible()
        is_done(page)
        # An open page leaves everything where it is.
        expect(page.locator("#steps")).to_be_visible()
        page.reload()
        expect(page.locator("#steps")).to_be_hidden()
        tops = "['.text', '.way'].map((part) => document.querySelector(part).getBoundingClientRect().top)"
        text, timeline = page.evaluate(tops)
        assert 0 < text < timeline, (text, timeline)
        page.get_by_role("heading", name="Timeline").click()
        expect(page.locator("#steps")).to_be_visible()
        page.set_viewport_size({"width": 1280, "height": 800})
        page.goto(f"/calls/{call}")
        expect(page.locator("#steps")).to_be_visible()
        text, timeline = page.evaluate(tops.replace("top)", "left)"))
        assert 0 < timeline < text, (text, timeline)


def corrects_by_finger(base: str):
    """On a touchscreen, buttons below the player do what keys do elsewhere, also while somebody types, and fit the window."""
    with browser(base) as window:
        page = window.page()
        call = dial(page)
        is_done(page)
        expect(page.locator(".touch")).to_be_hidden()
    with browser(base, viewport={"width": 360, "height": 640}, is_mobile=True, has_touch=True, bypass_csp=True) as window:
        page = window.page()
        be_silent(page)
        page.goto(f"/calls/{call}")
        transcript = transcript_of(base, call)
        page.locator(".text").scroll_into_view_if_needed()
        word = page.locator(".words > *", has_text=re.compile("^forty$"))
        word.tap()
        word.evaluate("word => getSelection().selectAllChildren(word)")
        page.keyboard.type("fifty")
        is_saved(page)
        assert text_of(base, transcript) == SAID.replace("forty", "fifty"), text_of(base, transcript)
        if folder := os.environ.get("SCREENSHOTS"):
            page.screenshot(path=f"{folder}/finger.png")
        page.get_by_role("button", name="Undo").tap()
        shows(page, SAID)
        is_saved(page)
        assert text_of(base, transcript) == SAID
        expect(page.locator(".words")).to_be_focused()
        page.locator(".text").evaluate("text => text.focus()")
        page.get_by_role("button", name="Next unsure").tap()
        expect(page.locator("mark.spoken")).to_have_text("Ahoy")
        page.get_by_role("button", name="Is right").tap()
        expect(page.locator(".text mark")).to_have_count(0)
        # They stay in sight, below the player, and cover nothing that one goes to.
        page.add_style_tag(content=".words > * { display: block; margin-bottom: 300px; }")
        page.evaluate("document.querySelector('.words').scrollIntoView({ block: 'end' })")
        expect(page.get_by_role("button", name="Undo")).to_be_in_viewport()
        player, buttons = [page.locator(part).bounding_box() for part in ["audio", ".touch"]]
        assert buttons["y"] >= player["y"] + player["height"], (player, buttons)
        assert page.evaluate("document.scrollingElement.scrollWidth") <= 360
        assert all(box.bounding_box()["height"] >= 44 for box in page.locator(".touch button").all())


# Whether the part that has the focus is under the player.
COVERED = """() => {
    const part = document.activeElement;
    const player = document.querySelector('audio');
    if (part === document.body || part === player) return false;
    const [one, other] = [part, player].map((each) => each.getBoundingClientRect());
    return one.top < other.bottom - 1 && one.bottom > other.top + 1 && one.left < other.right && one.right > other.left;
}"""


def scrolls_away(page):
    """Scrolls to the top, and goes on while the page takes that for its own: it may follow the playback in the same moment."""
    page.wait_for_function("() => { scrollTo(0, scrollY ? 0 : 1); return !isFollowing; }")


def reads_along(base: str):
    """The text follows the playback until the reader scrolls elsewhere, and the focus is never under the player."""
    with browser(base, bypass_csp=True) as window:
        page = window.page()
        call = dial(page)
        is_done(page)
        expect(page).to_have_title(re.compile(rf"^\+{NUMBER} · Done · .*\d"))
        for size in [(800, 600), (390, 700), (1280, 800)]:
            page.set_viewport_size(dict(zip(["width", "height"], size)))
            page.goto(f"/calls/{call}?q=order")
            if page.get_by_text("Everything that happened").is_hidden():
                page.get_by_role("heading", name="Timeline").click()
            page.get_by_text("Everything that happened").click()
            for key in ["Tab", "Shift+Tab"]:
                page.evaluate("scrollTo(0, 0)" if key == "Tab" else "scrollTo(0, document.body.scrollHeight)")
                for _ in range(40):
                    page.keyboard.press(key)
                    assert not page.evaluate(COVERED), (size, key, page.evaluate("document.activeElement.outerHTML"))
            if folder := os.environ.get("SCREENSHOTS"):
                page.screenshot(path=f"{folder}/found-{size[0]}.png", full_page=True)

        # Each word has a line of its own, far below the one before.
        page.goto(f"/calls/{call}")
        page.add_style_tag(content=".words > * { display: block; margin-bottom: 300px; }")
        page.eval_on_selector("audio", "audio => { audio.muted = audio.loop = true; return audio.play(); }")
        in_sight = """after => {
            const words = [...document.querySelectorAll('.words > *')];
            const word = document.querySelector('.text .spoken');
            const { top, bottom } = word?.getBoundingClientRect() ?? {};
            return words.indexOf(word) >= after && top >= 0 && bottom <= innerHeight;
        }"""
        for after in [2, 6, 10]:
            page.wait_for_function(in_sight, arg=after)
        # A reader who looks elsewhere is left there.
        page.eval_on_selector("audio", "audio => { audio.loop = false; audio.currentTime = 0; }")
        page.wait_for_function(in_sight, arg=6)
        scrolls_away(page)
        page.wait_for_function("() => document.querySelector('audio').ended")
        assert page.evaluate("scrollY") < 2
        # Until the reader jumps by key, while nothing plays and while something does.
        page.evaluate("document.querySelector('.text').focus({ preventScroll: true })")
        for key, after in [("Alt+j", 1), ("Alt+ArrowDown", 10), ("Alt+l", 14), ("Alt+ArrowUp", 10), ("ArrowLeft", 10)]:
            scrolls_away(page)
            page.keyboard.press(key)
            page.wait_for_function(in_sight, arg=after)
            assert page.evaluate("isFollowing"), key
        # It plays now.
        scrolls_away(page)
        page.keyboard.press("ArrowRight")
        page.wait_for_function(in_sight, arg=11)


def plays_by_keys(base: str):
    """Keys play, pause, go back and forward, change the speed, and go to unsure words, also while somebody types."""
    with browser(base) as window:
        page = window.page()
        call = dial(page)
        is_done(page)
        # Nothing plays on its own, so that each key moves by what it should.
        page.add_init_script("HTMLMediaElement.prototype.play = function () { this.isPlaying = true; return Promise.resolve(); }")
        page.add_init_script("HTMLMediaElement.prototype.pause = function () { this.isPlaying = false; }")
        page.add_init_script(
            "Object.defineProperty(HTMLMediaElement.prototype, 'paused', { get() { return !this.isPlaying; } })"
        )
        page.goto(f"/calls/{call}")
        page.eval_on_selector("audio", "audio => { audio.preload = 'auto'; audio.load(); }")
        page.wait_for_function("() => document.querySelector('audio').readyState === 4")
        page.eval_on_selector("audio", "audio => { audio.currentTime = 1; }")

        def plays(is_playing: bool):
            assert page.eval_on_selector("audio", "audio => !audio.paused") == is_playing

        page.locator("summary", has_text="other key terms").click()
        field = page.get_by_label("Key terms")
        for place in [page.locator("body"), page.locator(".text"), field]:
            place.focus()
            page.eval_on_selector("audio", "audio => { audio.currentTime = 1; }")
            page.keyboard.press("Alt+k")
            plays(True)
            page.keyboard.press("Alt+l")
            stands_at(page, 4000)
            page.keyboard.press("Alt+j")
            page.keyboard.press("Alt+j")
            stands_at(page, 0)
            page.eval_on_selector("audio", "audio => { audio.currentTime = 3; }")
            page.keyboard.press("Alt+k")
            plays(False)
            # The last moment before a pause is heard again, unless one goes elsewhere meanwhile.
            page.keyboard.press("Alt+k")
            plays(True)
            stands_at(page, 1500)
            page.keyboard.press("Alt+k")
            page.eval_on_selector("audio", "audio => { audio.currentTime = 2; }")
            page.keyboard.press("Alt+k")
            stands_at(page, 2000)
            page.keyboard.press("Alt+k")
            plays(False)
        assert field.input_value() == "", field.input_value()

        speed = page.locator(".playback output")
        for key, rates in [("Alt+,", ["0.75×", "0.5×", "0.5×"]), ("Alt+.", ["0.75×", "1×", "1.25×"])]:
            for rate in rates:
                page.keyboard.press(key)
                expect(speed).to_have_text(rate)
        page.get_by_role("button", name="Faster").click()
        assert page.eval_on_selector("audio", "audio => audio.playbackRate") == 1.5
        page.reload()
        expect(speed).to_have_text("1.5×")
        page.eval_on_selector("audio", "audio => audio.load()")
        assert page.eval_on_selector("audio", "audio => audio.playbackRate") == 1.5

        doubtful = page.locator(".text mark")
        page.keyboard.press("Alt+ArrowDown")
        expect(doubtful).to_have_class(re.compile("spoken"))
        expect(page.locator(".legend output")).to_have_text(f"“{doubtful.inner_text()}”: {doubtful.get_attribute('title')}.")

        keys = page.get_by_role("dialog", name="Keys")
        for way in ["?", "Alt+/"]:
            page.keyboard.press(way)
            expect(keys).to_be_visible()
            page.keyboard.press("Escape")
            expect(keys).to_be_hidden()
        page.locator("summary", has_text="other key terms").click()
        field.press("?")
        assert field.input_value() == "?"
        expect(keys).to_be_hidden()


def says_why_nothing_plays(base: str):
    """A player that cannot load its audio says so, and why if that is known. Once it can, it plays and says nothing."""
    wire = Wire(base)
    with browser(wire.base) as window:
        window.expected = "status of [45]0|ERR_"
        page = window.page()
        call = dial(page)
        is_done(page)
        page.goto(f"/calls/{call}")
        said = page.locator(".unplayable")
        expect(said).to_be_hidden()
        asked = []
        page.route("**/recordings/**", lambda route: (asked.append(route.request.url), route.fulfill(status=404, body="{}")))
        page.eval_on_selector("audio", "audio => { audio.muted = audio.loop = true; }")
        page.keyboard.press("Alt+k")
        expect(said).to_have_text("The audio cannot be played: Twilio does not have it any more.")
        expect(said.get_by_role("button")).to_have_count(0)
        expect(said).to_have_attribute("role", "status")
        # Once by the player, and once to learn why.
        assert len(asked) == 2, asked
        page.unroute("**/recordings/**")
        wire.cut()
        page.keyboard.press("Alt+k")
        expect(said).to_have_text("The audio cannot be played now: there is no connection to callscribe. Try again")
        wire.mend()
        said.get_by_role("button", name="Try again").click()
        page.wait_for_function("() => document.querySelector('audio').currentTime > 0.3")
        expect(said).to_be_hidden()
        expect(page.get_by_role("alert")).to_have_count(0)
        # A player that a link becomes says so, too.
        page.goto("/calls?q=friday")
        page.route("**/recordings/**", lambda route: route.fulfill(status=502, json={"detail": "Twilio is away"}))
        page.locator("a.play").click()
        expect(page.locator(".hits output")).to_have_text("The audio cannot be played now: Twilio is away. Try again")


def transcript_of(base: str, call: str) -> str:
    return json.loads(get(base, f"/calls/{call}"))["transcripts"][0]["id"]


def text_of(base: str, transcript: str) -> str:
    """What the server has stored."""
    return get(base, f"/transcript/{transcript}?format=text").strip()


def is_saved(page: Page):
    expect(page.locator(".sign")).to_have_text("Saved")


def select_word(page: Page, word: str):
    """Clicks a word twice, which selects it without its punctuation."""
    page.locator(".words > *", has_text=re.compile(f"^{re.escape(word)}$")).first.dblclick()


def be_silent(page: Page):
    page.add_init_script("HTMLMediaElement.prototype.play = () => Promise.resolve();")


def shown(page: Page) -> str:
    """What stands in the paragraphs of a page."""
    return " ".join(" ".join(page.locator(".words").all_text_contents()).split())


def shows(page: Page, text: str):
    """The page gets this text."""
    page.wait_for_function(
        "text => [...document.querySelectorAll('.words')].map((part) => part.textContent).join(' ').trim().split(/\\s+/).join(' ') === text",
        arg=text,
    )


def corrects(base: str):
    """Who clicks into the text types there. What was typed is saved, comes to other pages, and can be taken back."""
    with browser(base, permissions=["clipboard-read", "clipboard-write"]) as window:
        page = window.page()
        be_silent(page)
        call = dial(page)
        is_done(page)
        transcript = transcript_of(base, call)
        other = window.page()
        other.goto(f"/calls/{call}")
        page.bring_to_front()

        def saves(text: str):
            is_saved(page)
            shows(page, text)
            assert text_of(base, transcript) == text, text_of(base, transcript)

        # A word is replaced by clicking and typing. The caret stays, also when the newer copy of the page has come.
        select_word(page, "forty")
        page.keyboard.type("fifty")
        fifty = SAID.replace("forty", "fifty")
        saves(fifty)
        page.wait_for_function("() => document.querySelector('.text > p').dataset.key !== ''")
        page.keyboard.type("-one")
        one = SAID.replace("forty", "fifty-one")
        saves(one)
        shows(other, one)
        # What stayed has its time, and what was typed plays, too.
        expect(page.locator(".words [data-start]", has_text=re.compile("^fifty-one$"))).to_be_visible()
        street = page.locator(".words [data-start]", has_text="Street")
        street.click(modifiers=["Alt"])
        stands_at(page, float(street.get_attribute("data-start")))

        # Deleting, inserting and pasting; keys of the transcript type nothing.
        page.keyboard.press("Control+End")
        for _ in "Friday.":
            page.keyboard.press("Backspace")
        for key in ["Alt+k", "Alt+k", "Alt+j", "Alt+."]:
            page.keyboard.press(key)
        page.evaluate("navigator.clipboard.writeText('Monday  and\\tTuesday.')")
        page.keyboard.press("Control+v")
        tuesday = one.replace("Friday.", "Monday and Tuesday.")
        saves(tuesday)

        # Saved steps are taken back one by one, and done again. On a slow computer there are more of them.
        def comes_to(text: str, key: str):
            while shown(page) != text:
                before = shown(page)
                page.keyboard.press(key)
                is_saved(page)
                assert shown(page) != before, f"{key} does nothing to {before}"
            assert text_of(base, transcript) == text, text_of(base, transcript)

        for key, texts in [("Control+z", [one, fifty, SAID]), ("Control+Shift+z", [fifty, one, tuesday])]:
            for text in texts:
                comes_to(text, key)
        shows(other, tuesday)

        # What is not sent yet is taken back, too.
        page.keyboard.press("Control+End")
        page.keyboard.insert_text(" Now")
        page.keyboard.press("Control+z")
        saves(tuesday)
        page.keyboard.press("Control+Shift+z")
        saves(f"{tuesday} Now")

        # Enter begins a paragraph, and Backspace at its begin ends that.
        paragraphs = page.locator(".text > p")
        select_word(page, "Please")
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("Enter")
        expect(paragraphs).to_have_count(2)
        is_saved(page)
        page.keyboard.type("So ")
        so = f"{tuesday} Now".replace("Please", "So Please")
        saves(so)
        expect(paragraphs.nth(1)).to_contain_text("So Please ship")
        expect(other.locator(".text > p")).to_have_count(2)
        page.keyboard.press("Home")
        page.keyboard.press("Backspace")
        expect(paragraphs).to_have_count(1)
        page.keyboard.type("And ")
        saves(so.replace("So Please", "And So Please"))
        expect(other.locator(".text > p")).to_have_count(1)
        page.reload()
        shows(page, so.replace("So Please", "And So Please"))
        expect(paragraphs).to_have_count(1)

        # An unsure word is right.
        expect(page.locator(".text mark")).to_have_count(1)
        page.keyboard.press("Alt+ArrowDown")
        page.keyboard.press("Alt+Enter")
        expect(page.locator(".text mark:not(.sure)")).to_have_count(0)
        expect(other.locator(".text mark")).to_have_count(0)
        page.keyboard.press("Alt+Shift+ArrowUp")
        expect(page.locator(".spoken")).to_have_class(re.compile("typed"))

        # By keyboard alone: the Tab key reaches the text, and Enter types at the word that was heard last.
        page.eval_on_selector("audio", "audio => { audio.currentTime = 0; mark(audio); }")
        expect(page.locator(".spoken")).to_have_count(0)
        page.locator(".text").focus()
        for _ in range(3):
            page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        page.keyboard.type("was")
        page.keyboard.press("Escape")
        expect(page.locator(".text")).to_be_focused()
        saves(so.replace("So Please", "And So Please").replace("this is", "this was"))


def keeps_its_place(base: str):
    """What is selected, a dialog, and a paragraph that somebody else splits leave what is typed where it belongs."""
    with browser(base) as window:
        window.expected = "ERR_FAILED"
        page = window.page()
        be_silent(page)
        call = dial(page)
        is_done(page)
        transcript = transcript_of(base, call)

        def words(text: str):
            return page.locator(".words > *", has_text=re.compile(f"^{re.escape(text)}$")).first

        def drag(first: str, last: str):
            words(first).hover(position={"x": 1, "y": 8})
            page.mouse.down()
            box = words(last).bounding_box()
            page.mouse.move(box["x"] + box["width"] - 1, box["y"] + 8, steps=4)
            page.mouse.up()

        # Words that were selected with the mouse are typed over.
        page.locator(".words").first.click()
        page.keyboard.press("Escape")
        drag("forty", "two")
        page.keyboard.type("fifty")
        is_saved(page)
        said = SAID.replace("forty two", "fifty")
        assert text_of(base, transcript) == said, text_of(base, transcript)

        # The full stop of the last one stays with what takes their place.
        drag("before", "Friday.")
        page.keyboard.press("Shift+ArrowLeft")
        page.keyboard.type("soon")
        is_saved(page)
        said = said.replace("before Friday.", "soon.")
        assert text_of(base, transcript) == said, text_of(base, transcript)
        shows(page, said)
        assert page.locator(".words > *", has_text=re.compile(r"^\W+$")).count() == 0

        # A dialog gives the caret back.
        words("Street").click(position={"x": 1, "y": 8})
        page.keyboard.press("Alt+/")
        expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
        page.keyboard.press("Escape")
        page.keyboard.type("Old ")
        is_saved(page)
        said = said.replace("Street", "Old Street")
        assert text_of(base, transcript) == said, text_of(base, transcript)

        # Somebody else splits the paragraph, while nothing is unsent, and while something is.
        def split(before: str, version: int):
            at = said.split().index(before)
            edit = {"version": version, "from": at, "to": at, "break": True}
            send(base, "POST", f"/transcript/{transcript}/corrections", edit)

        version = json.loads(get(base, f"/transcript/{transcript}?format=words"))["version"]
        words("Old").click(position={"x": 1, "y": 8})
        split("Please", version)
        expect(page.locator(".text p")).to_have_count(2)
        page.keyboard.type("Very ")
        is_saved(page)
        said = said.replace("Old", "Very Old")
        assert text_of(base, transcript).split() == said.split(), text_of(base, transcript)
        page.route("**/corrections", lambda route: route.abort())
        page.keyboard.type("Very ")
        expect(page.locator(".sign")).to_contain_text("Not saved yet")
        split("order", json.loads(get(base, f"/transcript/{transcript}?format=words"))["version"])
        page.evaluate("refreshNow()")
        page.unroute("**/corrections")
        is_saved(page)
        expect(page.get_by_role("group", name="Two versions")).to_have_count(0)
        said = said.replace("Very Old", "Very Very Old")
        assert text_of(base, transcript).split() == said.split(), text_of(base, transcript)
        expect(page.locator(".text p")).to_have_count(3)
        page.keyboard.type("Very ")
        is_saved(page)
        said = said.replace("Very Very Old", "Very Very Very Old")
        assert text_of(base, transcript).split() == said.split(), text_of(base, transcript)


def corrects_alike(base: str):
    """A correction offers the other places where the same was heard, beside what is typed and without taking the focus."""
    with browser(base) as window:
        page = window.page()
        be_silent(page)
        calls = [dial(page, number) for page, number in [(page, NUMBER), (window.page(), "14155551235")]]
        page.bring_to_front()
        is_done(page)
        other = transcript_of(base, calls[1])
        while json.loads(get(base, f"/calls/{calls[1]}"))["progress"] != "done":
            page.wait_for_timeout(100)
        select_word(page, "forty")
        page.keyboard.type("fourteen")
        is_saved(page)
        offer = page.get_by_role("status", name="The same elsewhere")
        expect(offer).to_contain_text("“forty” is also heard in all calls (1)")
        expect(offer.get_by_role("link", name="in this transcript")).to_have_count(0)
        expect(page.locator(".words")).to_be_focused()
        page.keyboard.press("ArrowRight")
        page.keyboard.type("x")
        page.keyboard.press("Backspace")
        is_saved(page)
        offer.get_by_role("link", name="in all calls").click()
        page.wait_for_url("**/replace?find=forty&with=fourteen")
        expect(page.locator(".places li")).to_have_count(1)
        page.get_by_role("button", name="Replace", exact=True).click()
        page.wait_for_url("**/replace/*")
        while "fourteen" not in text_of(base, other):
            page.wait_for_timeout(100)
        page.goto(f"/calls/{calls[0]}")
        page.get_by_role("link", name="Corrections").click()
        expect(page.get_by_role("link", name="Correct forty alike elsewhere")).to_have_attribute("href", "/replace?find=forty&with=fourteen")
        # Times are those of the reader, and the moment plays there.
        expect(page.locator(".corrections time").first).not_to_contain_text("UTC")
        moment = page.get_by_role("link", name=re.compile("^Play .* from 0:02$")).first
        source = moment.get_attribute("href")
        moment.click()
        expect(page.locator(".corrections audio")).to_have_attribute("src", source)


def says_who_speaks_where_nobody_was_told_apart(base: str):
    """In a transcript of one voice, a paragraph is given to somebody else by mouse or key. Undoing that leaves one voice."""
    with browser(base) as window:
        page = window.page()
        be_silent(page)
        call = dial(page)
        is_done(page)
        transcript = transcript_of(base, call)
        expect(page.locator(".text .nobody")).to_be_hidden()
        select_word(page, "Please")
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("Enter")
        expect(page.locator(".text > p")).to_have_count(2)
        is_saved(page)
        first, second = SAID.split(" Please")
        dialog = page.get_by_role("dialog", name="Who says this?")
        page.keyboard.press("Alt+Shift+Enter")
        expect(dialog).to_be_visible()
        dialog.get_by_role("button", name="Somebody else").press("Enter")
        expect(page.locator(".text .name")).to_have_text(["Speaker A:", "Speaker B:"])
        is_saved(page)
        assert text_of(base, transcript) == f"Speaker A: {first}\nSpeaker B: Please{second}", text_of(base, transcript)
        page.locator(".text").press("Control+z")
        expect(page.locator(".text .name:not(.nobody)")).to_have_count(0)
        is_saved(page)
        assert text_of(base, transcript) == SAID.replace(" Please", "\nPlease") or text_of(base, transcript) == SAID, text_of(base, transcript)
        page.locator(".text > p").first.hover()
        page.locator(".text .nobody").first.click()
        dialog.get_by_label("From here on").check()
        dialog.get_by_role("button", name="Somebody else").click()
        expect(page.locator(".text .name").first).to_have_text("Speaker A")


def corrects_without_a_player(base: str):
    """A file that Twilio does not have has no player. Its words are stepped through, corrected and accepted all the same."""
    with browser(base) as window:
        page = window.page()
        page.goto("/transcribe")
        page.get_by_label("Audio or video file").set_input_files(os.environ["SPEECH"])
        page.get_by_role("button", name="Upload and transcribe").click()
        page.get_by_role("link", name="Open").click()
        page.wait_for_url("**/items/*")
        expect(page.locator(".text")).to_contain_text("Friday.")
        transcript = transcript_of(base, urlsplit(page.url).path.rsplit("/", 1)[1])
        expect(page.locator("audio")).to_have_count(0)
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
        page.keyboard.press("Escape")
        page.keyboard.press("Alt+ArrowDown")
        unsure = page.locator(".text .spoken")
        expect(unsure).to_have_text("Ahoy")
        page.locator(".text").focus()
        page.keyboard.press("ArrowRight")
        expect(page.locator(".text .spoken")).to_have_text("Street")
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("Enter")
        page.keyboard.type("Abbey")
        is_saved(page)
        assert text_of(base, transcript) == SAID.replace("Ahoy", "Abbey"), text_of(base, transcript)
        page.keyboard.press("Control+z")
        is_saved(page)
        assert text_of(base, transcript) == SAID
        page.keyboard.press("Escape")
        expect(page.locator(".text mark")).to_have_text("Ahoy")
        page.keyboard.press("Alt+ArrowUp")
        page.keyboard.press("Alt+Enter")
        expect(page.locator(".text mark")).to_have_count(0)


def corrects_by_keyboard(base: str):
    """Sixty errors in ten minutes are corrected by keyboard alone, while the server is killed and started again."""
    axe = importlib.resources.files("axe_playwright_python").joinpath("axe.min.js").read_text()
    transcript, plan = os.environ["TRANSCRIPT"], json.loads(os.environ["CORRECTIONS"])
    typed = {"one": "Clara", "two": "metoprolol", "missing": " refill", "superfluous": ""}
    # Besides the letters. Alt and a key count as one.
    keys = {
        "one": ["Alt+ArrowDown", None],
        "two": ["Alt+ArrowDown", "Control+Shift+ArrowRight", None],
        "missing": ["Alt+ArrowDown", "Alt+Enter", "ArrowRight", None],
        "superfluous": ["Alt+ArrowDown", "Backspace", None],
    }
    pressed = {kind: 0 for kind in typed}
    with browser(base) as window:
        window.expected = "ERR_"
        page = window.page()
        be_silent(page)
        page.goto(f"/transcript/{transcript}?format=html")
        while page.evaluate("!document.activeElement.matches('.text')"):
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.keyboard.press("Home")
        for at, kind in enumerate(plan["kinds"]):
            if at == 30:
                is_saved(page)
            for key in keys[kind]:
                if key:
                    page.keyboard.press(key)
                    pressed[kind] += 1
                else:
                    page.keyboard.type(typed[kind])
            if at == 30:
                # What was typed last is not sent yet.
                print("kill", flush=True)
            if at == 32:
                expect(page.locator(".sign")).to_contain_text("Not saved yet")
                print("start", flush=True)
                assert sys.stdin.readline() == "started\n"
        is_saved(page)
        shows(page, plan["said"])
        assert text_of(base, transcript) == plan["said"]
        expect(page.locator(".text mark:not(.sure)")).to_have_count(0)
        page.evaluate(axe)
        violations = [(one["id"], [node["html"] for node in one["nodes"]]) for one in page.evaluate("axe.run()")["violations"]]
        assert not violations, violations
        for kind, count in pressed.items():
            times = plan["kinds"].count(kind)
            print(f"{kind}: {times} times, {count / times:.1f} keys besides the {len(typed[kind])} letters")


def corrects_at_once(base: str):
    """Two people correct one transcript: changes of different words merge, and of the same words one has to choose."""
    with browser(base) as window:
        window.expected = "status of 409 "
        first, second = [window.page() for _ in range(2)]
        for page in [first, second]:
            be_silent(page)
        call = dial(first)
        is_done(first)
        transcript = transcript_of(base, call)
        second.goto(f"/calls/{call}")

        # What one of them is typing stays, while the other's correction comes.
        first.evaluate("void (window.sendNow = send, window.send = async () => {})")
        select_word(first, "forty")
        first.keyboard.type("fifty")
        select_word(second, "call.")
        second.keyboard.type("meeting")
        is_saved(second)
        first.wait_for_function("() => document.querySelector('.transcript').dataset.version === '1'")
        assert first.evaluate("typedIn().textContent.slice(0, caretIn(typedIn()))").endswith("ship order fifty")
        first.evaluate("void (window.send = window.sendNow)")
        first.keyboard.type("-one")
        is_saved(first)
        both = SAID.replace("call.", "meeting.").replace("forty", "fifty-one")
        for page in [first, second]:
            shows(page, both)
        assert text_of(base, transcript) == both

        # Both change the same word, and the second one chooses.
        for mine, theirs, button, result in [
            ("Abbey", "Ahoi", "Keep yours", "Abbey"),
            ("Aboy", "Abbot", "Take the other", "Abbot"),
        ]:
            now = re.search("to (.*) Street", shown(first)).group(1)
            first.evaluate("void (window.send = async () => {})")
            select_word(first, now)
            first.keyboard.type(mine)
            select_word(second, now)
            second.keyboard.type(theirs)
            is_saved(second)
            first.evaluate("window.send = window.sendNow; sendSoon(document.querySelector('.transcript'))")
            choice = first.get_by_role("group", name="Two versions")
            expect(choice.locator(".mine")).to_contain_text(f"to {mine} Street")
            expect(choice.locator(".theirs")).to_contain_text(f"to {theirs} Street")
            expect(choice.locator(".mine b")).to_have_text([mine])
            expect(choice.locator(".theirs b")).to_have_text([theirs])
            # A newer copy of the page decides nothing.
            first.evaluate("refreshNow()")
            expect(choice).to_have_count(1)
            expect(first.locator(".sign")).to_contain_text("choose one of two versions")
            assert f"to {theirs} Street" in text_of(base, transcript)
            choice.get_by_role("button", name=button).click()
            expect(choice).to_have_count(0)
            is_saved(first)
            for page in [first, second]:
                shows(page, both.replace("Ahoy", result))
            assert text_of(base, transcript) == both.replace("Ahoy", result)


def says_who_speaks(base: str):
    """The name of a speaker opens a choice of who says a paragraph, or everything from there on."""
    with browser(base) as window:
        page = window.page()
        be_silent(page)
        page.goto("/")
        page.get_by_label("Number, with country code").fill("+1 415 555 0131")
        page.get_by_label("What to do").select_option("Talk: ring +14155550100 first")
        page.get_by_role("button", name="Dial").click()
        page.wait_for_url("**/calls/CA*")
        is_done(page)
        transcript = transcript_of(base, urlsplit(page.url).path.rsplit("/", 1)[1])
        before = text_of(base, transcript)
        names = page.locator(".text .name")
        first = names.all_text_contents()
        assert first[:3] == ["Callee:", "Operator:", "Callee:"], first
        dialog = page.get_by_role("dialog", name="Who says this?")

        # The Tab key goes through the transcript as one, past the links above it.
        page.get_by_role("button", name="Copy").focus()
        stops = []
        while not page.evaluate("document.activeElement === document.body") and len(stops) < 40:
            stops.append(page.evaluate("document.activeElement.closest('.text') ? 'text' : document.activeElement.textContent"))
            page.keyboard.press("Tab")
        assert stops.count("text") == 1 and "Corrections" not in stops, stops
        assert stops.index("JSON") < stops.index("text"), stops

        # By mouse, with something typed just before.
        select_word(page, "clinic.")
        page.keyboard.type("center")
        names.nth(1).click()
        dialog.get_by_role("button", name="Callee").click()
        expect(page.locator(".text p").first).to_contain_text("I have the chart open.")
        is_saved(page)
        after = text_of(base, transcript)
        assert "center." in after and after.count("Operator: ") == before.count("Operator: ") - 1, after

        page.get_by_role("button", name="Copy").focus()
        while not page.evaluate("document.activeElement.matches('.text')"):
            stops.append(page.evaluate("document.activeElement.textContent"))
            page.keyboard.press("Tab")
        assert stops[-2:] == ["Corrections", "Original"], stops
        assert page.evaluate("document.querySelectorAll('.text :is(a, button):not([tabindex=\"-1\"], .correct)').length") == 0

        # By keyboard: another speaker from there on.
        last = names.last.text_content().removesuffix(":")
        count = names.all_text_contents().count(f"{last}:")
        names.nth(names.all_text_contents().index(f"{last}:")).press("Enter")
        expect(dialog).to_be_visible()
        dialog.get_by_role("checkbox").press("Space")
        dialog.get_by_role("button", name="Somebody else").press("Enter")
        expect(dialog).to_be_hidden()
        expect(names.last).not_to_have_text(f"{last}:")
        is_saved(page)
        assert f"{last}:" not in names.all_text_contents() and count > 1, names.all_text_contents()
        page.keyboard.press("Control+z")
        expect(names.last).to_have_text(f"{last}:")
        is_saved(page)
        assert text_of(base, transcript) == after


def loses_nothing(base: str):
    """What is typed while there is no connection, or before the page is gone, arrives later, and once."""
    wire = Wire(base)
    with browser(wire.base) as window:
        window.expected = "ERR_|status of 503 "
        page = window.page()
        be_silent(page)
        call = dial(page)
        is_done(page)
        transcript = transcript_of(base, call)
        select_word(page, "forty")
        # The server answers, but cannot save.
        page.route("**/corrections", lambda route: route.fulfill(status=503))
        page.keyboard.type("fourteen")
        expect(page.locator(".sign")).to_contain_text("Not saved yet: the server cannot save now")
        page.unroute("**/corrections")
        is_saved(page)
        heard = SAID.replace("forty", "fourteen")
        assert text_of(base, transcript) == heard, text_of(base, transcript)

        select_word(page, "fourteen")
        wire.cut()
        page.keyboard.type("fifty")
        expect(page.locator(".sign")).to_contain_text("Not saved yet: no connection")
        # Neither of both signs covers the other.
        expect(page.locator("#connection")).to_contain_text("No connection")
        for width in [360, 1280]:
            page.set_viewport_size({"width": width, "height": 500})
            page.evaluate("document.querySelector('.words').scrollIntoView({ block: 'end' })")
            upper, lower = [page.locator(part).bounding_box() for part in [".sign", "#connection"]]
            assert 0 < upper["y"] and upper["y"] + upper["height"] <= lower["y"], (width, upper, lower)
            if folder := os.environ.get("SCREENSHOTS"):
                page.screenshot(path=f"{folder}/signs-{width}.png")
        page.keyboard.type(" one")
        assert text_of(base, transcript) == heard
        wire.mend()
        is_saved(page)
        said = SAID.replace("forty", "fifty one")
        assert text_of(base, transcript) == said, text_of(base, transcript)

        # The answer is lost: what was sent is not sent twice.
        page.keyboard.press("Control+End")
        wire.mute()
        page.keyboard.type(" Ahoy!")
        said += " Ahoy!"
        while text_of(base, transcript) != said:
            page.wait_for_timeout(50)
        page.keyboard.type(" Again!")
        said += " Again!"
        wire.cut()
        wire.release()
        expect(page.locator(".sign")).to_contain_text("Not saved yet: no connection")
        wire.mend()
        is_saved(page)
        shows(page, said)
        assert text_of(base, transcript) == said, text_of(base, transcript)

        # The page is closed before anything was sent.
        page.keyboard.type(" Bye!")
        page.evaluate("onbeforeunload = null")
        page.close(run_before_unload=False)
        assert text_of(base, transcript) == said
        page = window.page()
        page.goto(f"/calls/{call}")
        is_saved(page)
        shows(page, f"{said} Bye!")
        assert text_of(base, transcript) == f"{said} Bye!"
        assert page.evaluate("Object.keys(localStorage).filter((name) => name.startsWith('unsaved'))") == []

        # A browser without room for what was typed sends it all the same.
        page.evaluate("void (Storage.prototype.setItem = function () { if (this === localStorage) throw new DOMException('full', 'QuotaExceededError'); })")
        page.locator(".words").click()
        page.keyboard.press("Control+End")
        page.keyboard.type(" Full!")
        page.wait_for_function("() => document.querySelector('.sign').dataset.says === 'saved' && ![...drafts.values()].some(isUnsent)")
        assert text_of(base, transcript) == f"{said} Bye! Full!"


def corrects_after_log_in(base: str):
    """What is typed after the log-in has ended is sent when it is renewed in another tab."""
    with browser(base, extra_http_headers={"x-forwarded-for": "203.0.113.7"}) as window:
        window.expected = "status of 401 "
        page = window.page()
        be_silent(page)

        def log_in(page: Page):
            page.get_by_label("Operator token").fill(os.environ["TOKEN"])
            page.get_by_role("button", name="Log in").click()

        page.goto("/")
        log_in(page)
        call = dial(page)
        is_done(page)
        select_word(page, "forty")
        window.context.request.post(f"{base}/logout")
        page.keyboard.type("fifty")
        expect(page.locator(".sign")).to_contain_text("you are logged out")
        shows(page, SAID.replace("forty", "fifty"))
        other = window.page()
        other.goto("/calls")
        log_in(other)
        other.wait_for_url("**/calls")
        is_saved(page)
        page.reload()
        shows(page, SAID.replace("forty", "fifty"))


def works_without_scripts(base: str):
    """Without scripts, everything works except live updates and words synchronized with the audio."""
    with browser(base, java_script_enabled=False) as window:
        page = window.page()
        call = dial(page)
        # The page reloads automatically until the call is done.
        is_done(page)
        assert re.fullmatch(r"/recordings/RE[0-9a-f]{32}\.wav", page.locator("audio").get_attribute("src"))
        page.goto("/calls")
        page.get_by_label("Search transcripts").fill("friday")
        page.get_by_role("button", name="Search").click()
        expect(page.locator(".hits mark")).to_have_text("Friday")
        page.locator(".hits a.parties").click()
        expect(page.locator(".text")).to_contain_text("Friday.")
        page.get_by_role("button", name="Checked by ear").click()
        expect(page.locator(".tools")).to_contain_text("Checked by this computer")
        page.goto("/calls")
        page.get_by_role("combobox", name="Checked").select_option("Yes")
        page.get_by_role("button", name="Search").click()
        expect(page.locator(f"#call-{call} .checked")).to_be_visible()
        page.goto(f"/calls/{call}")
        page.get_by_role("button", name="Not checked").click()
        expect(page.get_by_role("button", name="Checked by ear")).to_be_visible()
        page.get_by_role("link", name="Find and replace").focus()
        skip = page.get_by_role("link", name="Skip the text")
        while not skip.evaluate("link => link === document.activeElement"):
            page.keyboard.press("Tab")
        assert skip.bounding_box()["width"] > 50
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert not page.evaluate("document.activeElement.closest('.text')")
        page.get_by_role("link", name="Correct", exact=True).click()
        said = page.get_by_label("What is said here")
        expect(said).to_have_value(SAID)
        said.fill(SAID.replace("forty two", "fifty"))
        page.get_by_role("button", name="Save").click()
        page.wait_for_url("**/calls/CA*#*")
        paragraph = page.locator(".text > p")
        assert page.url.endswith(f"#{paragraph.get_attribute('id')}"), page.url
        expect(page.locator(".words")).to_have_text(SAID.replace("forty two", "fifty"))
        page.get_by_role("link", name="Corrections").click()
        expect(page.locator("del")).to_have_text("forty two")
        expect(page.locator("ins")).to_have_text("fifty")
        page.get_by_role("button", name="Undo").click()
        page.wait_for_url("**/calls/CA*")
        expect(page.locator(".words")).to_have_text(SAID)
        # A link of an older version has what is said there now.
        send(base, "POST", f"/transcript/{transcript_of(base, call)}/corrections", {"version": 2, "from": 12, "to": 13, "text": "Savoy"})
        page.get_by_role("link", name="Correct", exact=True).click()
        expect(said).to_have_value(SAID.replace("Ahoy", "Savoy"))
        said.fill(SAID)
        page.get_by_role("button", name="Save").click()
        page.wait_for_url("**/calls/CA*")
        expect(page.locator(".words")).to_have_text(SAID)
        page.goto("/transcribe")
        page.get_by_label("Audio or video file").set_input_files(os.environ["SPEECH"])
        page.get_by_role("button", name="Upload and transcribe").click()
        page.wait_for_url("**/items/*")
        is_done(page)
        page.goto(f"/calls/{call}")
        page.get_by_role("link", name="Delete…").click()
        page.get_by_role("button", name="Delete permanently").click()
        expect(page.locator("h1")).to_have_text("Deleted")


def pictures_a_call(base: str):
    """Takes the manual's picture: a finished conversation with its transcript."""
    number = "14155550131"
    send(base, "PUT", f"/contacts/{number}", {"name": "Siobhan Kowalczyk", "keyterms": ["tacrolimus", "creatinine"]})
    call = dial_by_url(base, f"{number}?with=me")
    with browser(base, viewport={"width": 1100, "height": 900}, color_scheme="light") as window:
        page = window.page()
        page.goto(f"/calls/{call}")
        is_done(page)
        send(base, "POST", f"/calls/{call}/speakers", {"1": "Dana"})
        expect(page.locator(".text")).to_contain_text("Dana")
        # The player shows the recording's length once it has loaded that.
        page.eval_on_selector("audio", "audio => { audio.preload = 'metadata'; audio.load(); }")
        page.wait_for_function("() => document.querySelector('audio').readyState > 0")
        if folder := os.environ.get("SCREENSHOTS"):
            page.screenshot(path=f"{folder}/call.png")


if __name__ == "__main__":
    scenarios = [follows, talks, uploads_many, is_not_disturbed, loses_no_call, finds, finds_by_day, says_what_it_is_connected_to, logs_in, follows_a_trial, reads_along, plays_by_keys, says_why_nothing_plays, corrects, keeps_its_place, corrects_alike, corrects_by_keyboard, corrects_without_a_player, says_who_speaks_where_nobody_was_told_apart, corrects_at_once, says_who_speaks, loses_nothing, corrects_after_log_in, follows_names, reads_on_a_phone, corrects_by_finger, is_accessible, works_without_scripts, pictures_a_call]
    {scenario.__name__: scenario for scenario in scenarios}[sys.argv[1]](sys.argv[2])
