"""A crowd in the playground: one real browser, and others who speak to the server as a page does.

Twenty browsers on two cores would measure browsers. So all visitors but one are light: each fetches
the page and what it refers to, opens the socket to its own kernel, asks for the widgets, and sends
the message that the page sends when τ is let go. All come at the same moment, and move at the same
moments. Half of them say goodbye, as a page does that is closed; the others vanish.
"""

import asyncio
import json
import os
import re
import statistics
import sys
import time
import uuid
from contextlib import suppress
from pathlib import Path

from load import anonymous, processes
from tornado.httpclient import AsyncHTTPClient
from tornado.websocket import websocket_connect

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

PATIENCE = 600  # seconds
CULLED_AFTER = 60  # instead of a quarter of an hour


def crowd(folder, visitors=20, moves=5):
    """What `visitors` at once meet: a dict of times in seconds, memory in MB, and errors."""
    import servers

    cull = [f"--MappingKernelManager.cull_idle_timeout={CULLED_AFTER}"]
    cull += ["--MappingKernelManager.cull_interval=5"]
    with servers.playground(folder, *cull) as address:
        wait_for(lambda: len(kernels()) == 1 and at_rest())
        return asyncio.run(_crowd(address.rstrip("/"), visitors, moves))


async def _crowd(address, visitors, moves):
    AsyncHTTPClient.configure(None, max_clients=visitors, max_body_size=10**9)
    light = [Light(address) for _ in range(visitors - 1)]
    browser = Browser(address)
    everybody = [browser, *light]
    errors = []

    async def all_do(action):
        begun = time.monotonic()

        async def one(visitor):
            try:
                await asyncio.wait_for(action(visitor), PATIENCE)
            except Exception as problem:
                errors.append(f"{type(problem).__name__}: {problem}"[:200])
                return None
            return time.monotonic() - begun

        times = await asyncio.gather(*map(one, everybody))
        return times[0], sorted(filter(None, times))  # the browser's, and all

    seen, opened = await all_do(lambda visitor: visitor.open())
    sizes = [anonymous(process) for process in kernels()]
    heard, sounds = [], []
    for move in range(moves):
        mine, all_ = await all_do(lambda visitor, move=move: visitor.move(move))
        heard.append(mine)
        sounds += all_
    after = [anonymous(process) for process in kernels()]
    everything = sum(anonymous(process) for process in ours(b"voila"))
    staying = [visitor for number, visitor in enumerate(light) if number % 2]
    gone = [visitor for visitor in everybody if visitor not in staying]
    everybody = gone
    await all_do(lambda visitor: visitor.leave())
    await until(lambda: len(kernels()) <= len(staying) + 1, 60)
    left = len(kernels())
    for visitor in staying:
        visitor.vanish()
    begun = time.monotonic()
    await until(lambda: len(kernels()) <= 1, 3 * CULLED_AFTER)
    return {
        "visitors": visitors,
        "page open: first (s)": round(opened[0], 1),
        "page open: median (s)": round(statistics.median(opened), 1),
        "page open: last (s)": round(opened[-1], 1),
        "page open: real browser (s)": seen and round(seen, 1),
        "new sound: median (s)": round(statistics.median(sounds), 2),
        "new sound: worst (s)": round(max(sounds), 2),
        "new sound: real browser, median (s)": round(statistics.median(filter(None, heard)), 2),
        "memory of a visitor's process (MB)": round(statistics.median(sizes)),
        "the same after the moves (MB)": round(statistics.median(after)),
        "memory of the server and all of them (MB)": round(everything),
        "errors": len(errors),
        "first error": errors[0] if errors else "",
        "processes left when half have closed their page": left,
        f"processes left when the others vanished ({CULLED_AFTER} s idle)": len(kernels()),
        "after (s)": round(time.monotonic() - begun),
    }


def kernels():
    """The processes of the server's visitors, and of the next one to come."""
    return ours(b"ipykernel_launcher")


def ours(word):
    """The processes below this one that have a word in their command."""
    found = []
    for process in processes(os.getpid()):
        with suppress(OSError):
            if word in Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0"):
                found.append(process)
    return found


def at_rest():
    """Do the visitors' processes do nothing for two seconds?"""

    def used():
        times = 0
        for process in kernels():
            with suppress(OSError):
                stat = Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")[2].split()
                times += int(stat[11]) + int(stat[12])  # in hundredths of a second
        return times

    before = used()
    time.sleep(2)
    return used() - before < 5


def wait_for(condition, seconds=PATIENCE):
    for _ in range(seconds * 5):
        if condition():
            return
        time.sleep(0.2)
    raise SystemExit("the playground does not start")


async def until(condition, seconds):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        await asyncio.sleep(0.5)


class Light:
    """A visitor without a browser."""

    def __init__(self, address):
        self.address, self.session = address, uuid.uuid4().hex

    async def open(self):
        client = AsyncHTTPClient()
        page = (await client.fetch(self.address, request_timeout=PATIENCE)).body.decode()
        self.kernel = re.search(r'"kernelId": ?"([^"]+)"', page)[1]
        for path in sorted(set(re.findall(r'(?:src|href)="(/voila/[^"]+)"', page))):
            await client.fetch(self.address + path, request_timeout=PATIENCE)
        socket = self.address.replace("http", "ws", 1) + f"/api/kernels/{self.kernel}/channels"
        self.socket = await websocket_connect(
            f"{socket}?session_id={self.session}", max_message_size=10**9
        )
        comm = uuid.uuid4().hex
        await self.send("comm_open", comm_id=comm, target_name="jupyter.widget.control", data={})
        await self.send("comm_msg", comm_id=comm, data={"method": "request_states"})
        states = (await self.receive(lambda data: data.get("method") == "update_states"))["states"]
        (self.tau,) = (
            name
            for name, model in states.items()
            if model["state"].get("description") == "τ" and "step" in model["state"]
        )
        if not any("<audio" in str(model["state"].get("value")) for model in states.values()):
            raise ValueError("the page has no sound")

    async def move(self, number):
        state = {"value": 0.5 + 0.05 * (number % 2)}
        data = {"method": "update", "state": state, "buffer_paths": []}
        await self.send("comm_msg", comm_id=self.tau, data=data)
        await self.receive(lambda data: "<audio" in str(data.get("state", {}).get("value")))

    async def send(self, kind, **content):
        header = {"msg_id": uuid.uuid4().hex, "msg_type": kind, "session": self.session}
        header |= {"username": "", "version": "5.3", "date": "2000-01-01T00:00:00Z"}
        message = {"header": header, "parent_header": {}, "content": content}
        message |= {"metadata": {"version": "1.0.0"}}  # of the protocol of widgets
        await self.socket.write_message(json.dumps(message | {"channel": "shell"}))

    async def receive(self, wanted):
        """The data of the next message of a widget for which `wanted` holds."""
        while True:
            text = await self.socket.read_message()
            if text is None:
                raise ConnectionError("the server has closed the socket")
            if isinstance(text, bytes):  # with buffers: the JSON is the first part
                count = int.from_bytes(text[:4], "big")
                begin, end = (
                    int.from_bytes(text[4 * i : 4 * i + 4], "big") for i in (1, min(2, count))
                )
                text = text[begin : end if count > 1 else None].decode()
            message = json.loads(text)
            data = message["content"].get("data") if message["channel"] == "iopub" else None
            if message["msg_type"] == "comm_msg" and wanted(data):
                return data

    async def leave(self):
        """As a page does that is closed."""
        self.socket.close()
        await AsyncHTTPClient().fetch(
            f"{self.address}/voila/api/shutdown/{self.kernel}",
            method="POST",
            body=f"_xsrf={self.session}",
            headers={"Cookie": f"_xsrf={self.session}"},
            request_timeout=PATIENCE,
        )

    def vanish(self):
        self.socket.close()


class Browser:
    """A visitor with a real one."""

    def __init__(self, address):
        self.address = address

    async def open(self):
        from browser import launch
        from playwright.async_api import async_playwright

        self.playwright = await async_playwright().start()
        self.browser = await launch(self.playwright)
        self.page = await self.browser.new_page()
        await self.page.goto(self.address, timeout=1000 * PATIENCE)
        await self.page.wait_for_selector("audio", timeout=1000 * PATIENCE)

    async def move(self, number):
        page = self.page
        before = await page.locator("audio").get_attribute("src")
        await page.locator(".widget-slider [role=slider]").first.focus()
        await page.keyboard.press("ArrowLeft" if number % 2 else "ArrowRight")
        await page.wait_for_function(
            "before => document.querySelector('audio')?.src != before",
            arg=before,
            timeout=1000 * PATIENCE,
        )

    async def leave(self):
        await self.page.goto("about:blank")
        await self.browser.close()
        await self.playwright.stop()
