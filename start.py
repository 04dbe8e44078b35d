# ruff: noqa: B904, UP020, UP024, UP031
"""Everything this folder can do, on Windows, macOS and Linux: python start.py COMMAND

It finds a Python that fits, makes .venv with it, installs there what the command needs, and starts
the command; a second call installs nothing. `make COMMAND ARGS="..."` is the same.

    python start.py lab                         what follows a command is for what it starts:
    python start.py test -k mixture -x          here for pytest

What concerns .venv may stand before a command, or come from the environment:

    --python PATH        the Python that .venv is made with (PYTHON=PATH)
    --versions newest    the newest versions of everything instead of those in tests/locked.txt;
                         .venv keeps them until --versions locked (VERSIONS=newest)
    --fetch-python       where no Python fits, fetch one into this folder without a question
"""

# Any Python may be the one that runs this file, also one that is too old or too new for the rest:
# that is what people have. So nothing here is newer than Python 2.7, or needs to be installed; all
# that is said is ASCII; and what differs between systems is in small functions that can be tested.

import collections
import glob
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.realpath(__file__))
WINDOWS = os.name == "nt"
PYTHONS = ["3.11", "3.12", "3.13"]
NAMES = ["python3.13", "python3.12", "python3.11", "python3", "python"]
FETCHED, FETCHED_FOLDER = "3.12", ".venv-python"
LOCKED, COLAB = "tests/locked.txt", "tests/colab.txt"

# What an environment can hold, for pip, and the file that says in which versions.
Environment = collections.namedtuple("Environment", "folder extras versions")
VENV = Environment(".venv", {"lessons": "lab,playground", "all": "test"}, LOCKED)
COLAB_VENV = Environment(".venv-colab", {"all": "cells"}, COLAB)
ONLY_LESSONS = "lab", "play", "links"  # commands that need no more than lessons do
ALONE = "help", "setup", "clean"  # commands that start nothing, so nothing may follow them
OWN_EXTRA = "mutants", "fuzz"  # commands that need an extra of their own name, and to fork

SAYS = [
    ("help", "list these commands"),
    ("setup", "make .venv with everything in it"),
    ("lab", "open JupyterLab on the first notebook"),
    ("play", "open the playground: the tau player as a page of its own"),
    ("test", "run the tests: the package's, and every cell of every notebook"),
    ("check", "run the tests that take seconds, after the change of a line"),
    ("weekly", "run the tests, and those that say the same at full length; half an hour"),
    ("coverage", "run the unit tests and list the lines and branches that they miss"),
    ("mutants", "put small faults into the code and count those that the tests notice"),
    ("colab", "run every notebook with the versions that Colab has"),
    ("guard", "run all notebooks again under other circumstances, and tell"),
    ("versions", "run everything on each Python with oldest, locked and newest versions"),
    ("lock", "write the newest versions into tests/locked.txt"),
    ("notebooks", "run all notebooks again and store their outputs"),
    ("book", "make the whole series a website in book/_build that needs no network"),
    ("fuzz", "damage every kind of file 100,000 times, guided by coverage, and read it"),
    ("load", "measure 200 hours to train on, an hour to generate, 20 visitors at once"),
    ("bench", "measure how fast training is, beside PyTorch if it is there"),
    ("faults", "kill, interrupt and starve the commands, and see what is left; half an hour"),
    ("samples", "make data_samples/ again"),
    ("links", "make all links name this repository, or REPOSITORY=owner/name"),
    ("lint", "check the style of code and notebooks, and the types of the package"),
    ("clean", "remove .venv and what tools left behind"),
]
WORKERS = ["--numprocesses", "auto", "--dist", "loadfile"]
EVERY = ["-m", "pytest", "--nbval"] + WORKERS + ["--durations", "10", "tests", "notebooks"]
# What the Python of the environment is called with.
WORDS = {
    "lab": ["-m", "jupyterlab", "--ServerApp.root_dir=.", "notebooks/00_start_here.ipynb"],
    "play": ["-m", "voila", "notebooks/playground.ipynb", "--template=playground"]
    + ["--strip_sources=True", "--preheat_kernel=True", "--pool_size=1"]
    + ["--VoilaConfiguration.extension_denylist=jupyterlab-jupytext"]
    + ["--Voila.tornado_settings={'websocket_max_message_size': 100000000}"]
    + ["--MappingKernelManager.cull_idle_timeout=900"]
    + ["--MappingKernelManager.cull_interval=60"],
    "test": EVERY + ["-m", "not weekly"],
    "weekly": EVERY,
    "check": ["-m", "pytest", "-p", "no:nbval", "-m", "not (keras or browser or slow or weekly)"]
    + WORKERS
    + ["tests"],
    "coverage": ["-m", "pytest", "--cov", "--cov-report=term"],
    "mutants": ["tools/mutants.py"],
    "colab": ["-m", "pytest", "--nbval-lax", "--disable-warnings", "notebooks"],
    "guard": ["tools/guard.py"],
    "versions": ["tools/versions.py"],
    "lock": ["-m", "uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11"]
    + ["--extra", "test", "--upgrade", "--no-annotate", "--custom-compile-command", "make lock"]
    + ["--output-file", LOCKED, "pyproject.toml"],
    "notebooks": ["tools/execute.py"],
    "book": ["book/make_book.py"],
    "fuzz": ["tests/fuzz/fuzz.py"],
    "load": ["tools/benchmarks/load.py"],
    "bench": ["tools/benchmarks/training.py"],
    "faults": ["tools/benchmarks/faults.py", "--output", "tools/benchmarks/faults.md"],
    "samples": ["data_samples/make_samples.py"],
    "links": ["tools/links.py"],
    "lint": ["tools/lint.py"],
}

# Of the machine's settings these would lead to other modules, to windows in place of figures, or
# to compiling everything at every start.
FOREIGN = "PYTHONPATH PYTHONHOME VIRTUAL_ENV VIRTUAL_ENV_PROMPT __PYVENV_LAUNCHER__ MPLBACKEND "
FOREIGN += "PYTHONDONTWRITEBYTECODE"
# These would make pip install elsewhere, something else, or not at all. Indexes, proxies and
# certificates stay what they are. The second ones may also stand in pip.conf: "0" goes before it.
PIP_FOREIGN = "PIP_TARGET PIP_PREFIX PIP_ROOT PIP_PYTHON PIP_REQUIREMENT PIP_NO_BUILD_ISOLATION"
PIP_OFF = "PIP_USER PIP_NO_DEPS PIP_DRY_RUN PIP_REQUIRE_HASHES PIP_IGNORE_INSTALLED"

# Linux alone knows these: each visitor's process gives back what it does not need, 30 MB.
MALLOC = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TOP_PAD_": "0",
    "MALLOC_TRIM_THRESHOLD_": "1000000",
    "MALLOC_MMAP_THRESHOLD_": "8000000",
}

NO_TENSORFLOW = (
    "TensorFlow has no version for Macs with an Intel processor: {0}. Everything runs in Binder "
    "and in Colab; and on a Mac with an M processor, with a Python for it from python.org."
)
WITHOUT_IT = (
    "all that does without it is installed, for notebooks 00, 07, 08 and 12, most of 10, 11, 13 "
    "and 14, the playground and cmc generate"
)


class Refusal(Exception):
    """One sentence that says what is wrong and what to do; and the exit status."""

    def __init__(self, sentence, status=1):
        Exception.__init__(self, sentence)
        self.status = status


def main(arguments):
    """Do what the command line says; returns the exit status."""
    try:
        options, name, others = parse(arguments, os.environ)
        if name == "help":
            say(help_text(), sys.stdout)
        elif name == "clean":
            clean()
        else:
            return do(name, others, options, clean_environment(os.environ))
        return 0
    except Refusal as problem:
        say(problem.args[0])
        return problem.status
    except KeyboardInterrupt:
        say("Stopped. The next call makes good what was not finished.")
        return 130


def do(name, others, options, environment):
    """Start a command in its environment, followed by others; returns the exit status."""
    if WINDOWS and name in OWN_EXTRA:
        raise Refusal("%s needs a system that can fork, which Windows cannot." % name)
    venv = COLAB_VENV if name == "colab" else VENV
    python = prepare(venv, name, options, environment)
    if name in OWN_EXTRA:
        pip_install(python, venv, ["--editable", ".[%s]" % name], None, name, environment)
    if name in ALONE:
        return 0
    return start([python] + words(name, others), environment_of(name, environment))


def words(name, others):
    """What a command's Python is called with."""
    return WORDS[name] + (["tests"] if name == "coverage" and not others else others)


def say(text, stream=None):
    """A line for people. A console that lacks a letter of a path gets a question mark."""
    stream = stream or sys.stderr
    try:
        stream.write(text + "\n")
    except UnicodeError:
        stream.write(text.encode("ascii", "replace").decode("ascii") + "\n")
    stream.flush()


def call(name, environ=None):
    """How whoever reads it can call a command again."""
    if "MAKELEVEL" in (os.environ if environ is None else environ):
        return "make " + name
    return ("python" if WINDOWS else "python3") + " start.py " + name


# What the command line says


def parse(arguments, environ):
    """({"python", "versions", "fetch": what is asked for, or None}, command, what follows it).

    An option of ours stands before the command or at once behind it, but for `versions`, which has
    a --python of its own. NAME=value is read as make does.
    """
    options = {"python": environ.get("PYTHON") or None, "fetch": False}
    options["versions"] = environ.get("VERSIONS") or None
    options["repository"] = environ.get("REPOSITORY") or None
    rest, name = list(arguments), None
    while rest:
        word = rest[0]
        key, equals, value = word.lstrip("-").partition("=")
        ours = word.startswith("--") and key in ("python", "versions") and name != "versions"
        if equals and word.startswith(("PYTHON=", "VERSIONS=", "REPOSITORY=")):
            options[key.lower()] = value
        elif word == "--fetch-python":
            options["fetch"] = True
        elif ours and (equals or len(rest) > 1):
            options[key] = value if equals else rest.pop(1)
        elif name is None and word in ("-h", "--help"):
            name = "help"
        elif name is None and word in dict(SAYS):
            name = word
        elif name is None:
            wrong = 'There is no command "%s": %s lists them.'
            raise Refusal(wrong % (word, call("help", environ)), 2)
        else:
            break
        rest.pop(0)
    if options["versions"] not in (None, "locked", "newest"):
        wrong = 'VERSIONS is either locked or newest, not "%s".'
        raise Refusal(wrong % options["versions"], 2)
    if name in ALONE and rest:
        raise Refusal('Nothing follows %s, but "%s" does.' % (name, rest[0]), 2)
    if options["repository"] and name == "links" and not rest:
        rest = [options["repository"]]
    return options, name or "help", rest


def help_text():
    return (__doc__ or "") + "\n" + "\n".join("%-10s %s" % line for line in SAYS)


# What is set in the environment


def clean_environment(environ):
    """A copy without the settings that the machine has for other work."""
    return {name: environ[name] for name in environ if name not in FOREIGN.split()}


def environment_of(name, environment, system=sys.platform):
    """With what a command wants set besides."""
    if name != "play":
        return environment
    more = dict(MALLOC) if system.startswith("linux") else {}
    return dict(environment, JUPYTER_PATH="notebooks", **more)


def pip_environment(environment, versions):
    """For pip, so that it installs into the environment that it is called in.

    versions: the file that says which, relative to the folder, or None. As a variable and not as an
    option it holds for the tools that build this package too: for pip before 25.3 by the first
    name, since then by the second. It is split at spaces, so a whole path might not do.
    """
    ours = {name: environment[name] for name in environment if name not in PIP_FOREIGN.split()}
    ours.update((name, "0") for name in PIP_OFF.split())
    if versions:
        ours.update(PIP_CONSTRAINT=versions, PIP_BUILD_CONSTRAINT=versions)
    return ours


# Processes


def ask(command, environment):
    """(exit status, what it said on stdout, on stderr); None where there is no such command.

    Ctrl-C reaches the command by itself, `kill` does not. It is given five seconds to end.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as problems:
        with open(os.devnull, "rb") as nothing:
            try:
                streams = {"stdin": nothing, "stdout": out, "stderr": problems}
                process = subprocess.Popen(command, env=environment, cwd=ROOT, **streams)
            except EnvironmentError:
                return None
        try:
            status = process.wait()
        except KeyboardInterrupt as reason:
            try:
                if reason.args:
                    process.terminate()
                until = time.time() + 5
                while process.poll() is None and time.time() < until:
                    time.sleep(0.05)
            finally:
                if process.poll() is None:
                    process.kill()
            raise
        texts = []
        for file in (out, problems):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "replace"))
        return status, texts[0], texts[1]


def start(command, environment):
    """Become the command; on Windows, where that is not possible, wait for it."""
    os.chdir(ROOT)
    sys.stdout.flush()
    if not WINDOWS:
        os.execve(command[0], command, environment)
    process = subprocess.Popen(command, env=environment)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # it reaches the command too: JupyterLab asks, and may go on
            pass


def last_line(text):
    """The last line of what a program said, where the reason stands."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


# Which Python

PROBE = """
import json, sys
found = {"version": "%d.%d" % sys.version_info[:2]}
if sys.version_info >= (3, 3):
    import platform, sysconfig
    found["platform"], found["machine"] = sysconfig.get_platform(), platform.machine()
    found["prefix"], found["base"] = sys.prefix, getattr(sys, "_base_executable", sys.executable)
    try:
        import ensurepip, venv
        found["venv"] = True
    except ImportError:
        pass
print(json.dumps(found))
"""


def probe(command, environment):
    """What a Python says about itself, or None if it is none."""
    # Windows' py would be glad to load a version that it is asked for.
    quiet = dict(environment, PYTHON_MANAGER_AUTOMATIC_INSTALL="false")
    quiet.pop("PYLAUNCHER_ALLOW_INSTALL", None)
    answer = ask(command + ["-c", PROBE], quiet)
    try:
        found = json.loads(answer[1].splitlines()[-1]) if answer and not answer[0] else {}
        found = dict((name, native(value)) for name, value in found.items())
    except (IndexError, AttributeError, ValueError):
        return None
    return dict(found, command=command) if "version" in found else None


def native(text):
    """A text from JSON as this Python has its paths: for Python 2 those are bytes."""
    return text if str is not bytes or text is True else text.encode("utf-8")


def number(version):
    return [int(part) for part in version.split(".")]


def obstacle(found):
    """Why a Python cannot make an environment, as the end of a sentence; None if it can."""
    if found["version"] not in PYTHONS:
        return "is Python " + found["version"]
    if found["platform"] in ("win32", "win-arm32", "win-arm64"):
        wrong = "is made for %s, and TensorFlow for 64-bit Intel and AMD processors (win-amd64)"
        return wrong % found["platform"]
    return None if found.get("venv") else "lacks the venv module"


def candidates():
    """The Pythons to try, the first that fits is taken: the one that runs this, those that have a
    name, and one that was fetched before."""
    pythons = [[sys.executable]] if sys.executable else []
    if WINDOWS:
        pythons += [["py", "-" + version] for version in reversed(PYTHONS)]
    return pythons + [[name] for name in NAMES] + fetched()


def fetched():
    place = ["*", "python.exe"] if WINDOWS else ["*", "bin", "python3"]
    return [[path] for path in sorted(glob.glob(os.path.join(ROOT, FETCHED_FOLDER, *place)))]


def find_python(asked, fetch, folder, name, environment):
    """What `probe` says of a Python that fits.

    asked: one that was named, and is the only one to be tried. folder: the environment to be made,
    whose own Python cannot make it. name: of the command, for the sentences.
    """
    tried = []
    for command in [[as_path(asked)]] if asked else candidates():
        found = probe(command, environment)
        if not found:
            continue
        if found.get("prefix") and same_folder(found["prefix"], os.path.join(ROOT, folder)):
            command = [found["base"]]
            found = probe(command, environment) if found["base"] else None
            if not found or same_folder(found["prefix"], os.path.join(ROOT, folder)):
                continue
        problem = obstacle(found)
        if problem is None:
            return found
        tried.append((found, problem))
    bare = [found for found, problem in tried if "venv" in problem]
    if bare:
        wrong = "Python {0} lacks the venv module: install it (Debian, Ubuntu: apt install "
        wrong += "python{0}-venv) and run {1} again."
        raise Refusal(wrong.format(bare[0]["version"], call(name)))
    needed = "Python %s or %s is needed, but " % (", ".join(PYTHONS[:-1]), PYTHONS[-1])
    if tried:
        needed += "%s %s" % (" ".join(tried[0][0]["command"]), tried[0][1])
    else:
        needed += "%s is not Python" % asked if asked else "none was found"
    by_hand = "install one from python.org%s, or name one with PYTHON=%s" % (
        " or with: py install " + FETCHED if WINDOWS else "",
        "C:\\path\\to\\python.exe" if WINDOWS else "/path/to/python3.12",
    )
    with_uv = None if asked else fetcher(tried, environment)
    if with_uv and not fetch and sys.stdin and sys.stdin.isatty() and sys.stderr.isatty():
        fetch = agreed(needed)
    if not with_uv or not fetch:
        if with_uv:
            again = "python%s start.py --fetch-python %s" % ("" if WINDOWS else "3", name)
            by_hand += ", or let uv fetch one into this folder: " + again
        raise Refusal("%s: %s." % (needed, by_hand))
    fetch_python(with_uv, by_hand, environment)
    for command in fetched():
        found = probe(command, environment)
        if found and obstacle(found) is None:
            return found
    raise Refusal("The Python that uv fetched does not run here: %s." % by_hand)


def as_path(python):
    """A Python that was named, so that it is the same one seen from our folder."""
    path = os.path.expanduser(python)
    return os.path.abspath(path) if os.path.dirname(path) else python


def same_folder(one, other):
    return normal(one) == normal(other)


def normal(path):
    """A path in the one form that it is compared in."""
    return os.path.normcase(os.path.realpath(path))


def agreed(needed):
    """Ask on the terminal; nothing, and the end of input, are a no."""
    say("%s." % needed)
    sys.stderr.write("Fetch Python %s with uv into this folder? [y/N] " % FETCHED)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def fetcher(tried, environment):
    """How uv can be had: {"uv": command} if it is there, {"python": one that can install it}."""
    if (ask(["uv", "--version"], environment) or (1,))[0] == 0:
        return {"uv": ["uv"]}
    able = [found for found, _ in tried if found.get("venv") and number(found["version"]) >= [3, 8]]
    return {"python": able[0]["command"]} if able else None


def fetch_python(with_uv, by_hand, environment):
    """Let uv put a Python into FETCHED_FOLDER, and nothing anywhere else."""
    say("Fetching Python %s into %s." % (FETCHED, FETCHED_FOLDER))
    # No link to it in the user's PATH, no entry in Windows' registry.
    settings = dict(environment, UV_PYTHON_INSTALL_BIN="0", UV_PYTHON_INSTALL_REGISTRY="0")
    settings["UV_PYTHON_INSTALL_DIR"] = os.path.join(ROOT, FETCHED_FOLDER)
    folder, steps = tempfile.mkdtemp(), []
    try:
        uv = with_uv.get("uv")
        if not uv:
            inside = python_in(folder)
            pip = [inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "uv"]
            steps = [with_uv["python"] + ["-m", "venv", folder], pip]
            uv = [inside, "-m", "uv"]
        for step in steps + [uv + ["python", "install", FETCHED]]:
            answer = ask(step, pip_environment(settings, LOCKED) if "pip" in step else settings)
            if not answer or answer[0]:
                why = last_line(answer[2]) if answer else "it is not there"
                raise Refusal("uv could not fetch a Python (%s): %s." % (why, by_hand))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# The environment


def python_in(folder):
    """The Python of an environment."""
    parts = ["Scripts", "python.exe"] if WINDOWS else ["bin", "python"]
    return os.path.join(folder, *parts)


def prepare(venv, name, options, environment):
    """Make an environment hold what a command needs, and install nothing if it does; returns its
    Python.

    It is made anew when it was interrupted, came along with a moved folder, has lost its Python, or
    is to change between locked and newest versions. One that holds more is not reduced.
    """
    folder = os.path.join(ROOT, venv.folder)
    python, source = python_in(folder), read_all(["pyproject.toml", venv.versions])
    place, state = read_stamp(folder)
    inside = probe([python], environment) if place == here() else None
    if inside and not (inside["version"] in PYTHONS and has_packages(folder, inside["version"])):
        inside = None
    newest = options["versions"] == "newest" or ("newest" in state and not options["versions"])
    newest = (newest and venv is VENV) or no_tensorflow(inside)
    stale = not inside or newest != ("newest" in state)
    lessons = name in ONLY_LESSONS and (not inside or "lessons" in state)
    if not stale and (lessons or "lessons" not in state):
        if source == read_file(os.path.join(folder, ".installed")):
            return python
    if stale:
        inside = find_python(options["python"], options["fetch"], venv.folder, name, environment)
    without = no_tensorflow(inside)
    if without and not lessons:
        raise Refusal(NO_TENSORFLOW.format("nothing but %s runs here" % ", ".join(ONLY_LESSONS)))
    if without:
        say(NO_TENSORFLOW.format(WITHOUT_IT))
    begin(folder, source)
    if stale:
        make_environment(inside["command"], venv.folder, environment)
        begin(folder, source)
    say("Installing into %s; the first time takes some minutes." % venv.folder)
    what = ["--editable", ".[%s]" % venv.extras["lessons" if lessons else "all"]]
    if without:  # and not from source, for which one needs LLVM
        what = ["--editable", ".[playground]", "jupyterlab>=4.2", "--only-binary", "numba,llvmlite"]
    newest = newest or without
    pip_install(python, venv, what, None if newest else venv.versions, name, environment)
    # Its first import compiles for half a minute and keeps what it made; when two processes are the
    # first, what is kept crashes every later one. So here it is one.
    ask([python, "-c", "import librosa.onset"], environment)
    write_stamp(folder, ["newest"] * newest + ["lessons"] * lessons)
    return python


def no_tensorflow(found):
    """Is it a computer that TensorFlow has no version for, but all else has?"""
    return bool(found) and found["platform"][:6] == "macosx" and found["machine"] == "x86_64"


def has_packages(folder, version):
    """Were packages installed for this version? Not if the system's Python became another one."""
    return WINDOWS or bool(glob.glob(os.path.join(glob_escape(folder), "lib*", "python" + version)))


def glob_escape(path):
    return re.sub(r"([*?[])", r"[\1]", path)


def here():
    """The folder as it stands in a stamp: bytes, which every Python reads alike."""
    path = normal(ROOT)
    return path if isinstance(path, bytes) else path.encode("utf-8", "surrogateescape")


def read_stamp(folder):
    """(the folder that an environment was made for, words) from its stamp; (None, []) without one.

    The words: "newest" if it has the newest versions, "lessons" if it has no more than those need.
    """
    lines = (read_file(os.path.join(folder, ".ready")) or b"").splitlines()
    return (lines[0] if lines else None), [line.decode("ascii", "replace") for line in lines[1:]]


def write_stamp(folder, words):
    with open(os.path.join(folder, ".ready"), "wb") as file:
        file.write(b"\n".join([here()] + [word.encode("ascii") for word in words]) + b"\n")


def read_file(path):
    """The bytes of a file, or None."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except EnvironmentError:
        return None


def read_all(names):
    """What is installed from. It is compared by its contents: times say nothing once a clock was
    set back."""
    return b"".join(read_file(os.path.join(ROOT, name)) or b"" for name in names)


def begin(folder, source):
    """From now on the environment is not to be trusted, until it has a stamp again."""
    try:
        if not os.path.isdir(folder):
            os.mkdir(folder)
        if os.path.lexists(os.path.join(folder, ".ready")):
            os.remove(os.path.join(folder, ".ready"))
        with open(os.path.join(folder, ".installed"), "wb") as file:
            file.write(source)
    except EnvironmentError as problem:
        wrong = "%s cannot be written (%s): copy this folder to where you may write, and start."
        raise Refusal(wrong % (folder, problem.strerror))


def make_environment(command, folder, environment):
    answer = ask(command + ["-m", "venv", "--clear", folder], environment)
    if not answer or answer[0]:
        said = answer[2] or answer[1] if answer else ""
        wrong = "%s could not make %s (%s): close what runs in it, like JupyterLab, and try again."
        raise Refusal(wrong % (" ".join(command), folder, last_line(said)))


def pip_install(python, venv, what, versions, name, environment):
    """Install into an environment for a command; what pip says is kept for when it fails."""
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"] + what
    answer = ask(command, pip_environment(environment, versions))
    if answer and not answer[0] and has_our_package(os.path.join(ROOT, venv.folder)):
        return
    log = os.path.join(venv.folder, "pip.log")
    said = answer[1] + answer[2] if answer else ""
    try:
        with io.open(os.path.join(ROOT, log), "w", encoding="utf-8") as file:
            file.write(said)
    except EnvironmentError:
        pass
    if answer and not answer[0]:
        wrong = "pip installed elsewhere than into %s, as its settings say: take target, prefix or "
        raise Refusal(wrong % venv.folder + "root out of what this lists: pip config list")
    wrong = "The installation did not finish%s (%s has all that pip said)."
    raise Refusal(wrong % (why_not(said, versions == LOCKED, name), log))


def has_our_package(folder):
    """Is it in the environment, or did pip put it elsewhere?"""
    parts = ["Lib", "site-packages"] if WINDOWS else ["lib*", "python*", "site-packages"]
    parts.append("cmc_helpers-*.dist-info")
    return bool(glob.glob(os.path.join(glob_escape(folder), *parts)))


NETWORK = re.compile(
    "NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError|"
    "Max retries exceeded|Connection (?:refused|reset|aborted)|getaddrinfo|Network is unreachable"
)


def why_not(said, locked, name):
    """The reason in what pip said, and what to do about it."""
    again = "run %s again" % call(name)
    if NETWORK.search(said):
        return ", because the network did not answer: %s once it does" % again
    if "No space left" in said or "not enough space" in said:
        return ", because the disk is full: make room for 3 GB and %s" % again
    if "Long Path" in said:
        return ", because Windows has paths too long for it: move this folder nearer to C:\\"
    errors = [line for line in said.splitlines() if line.startswith("ERROR: ")]
    reason = errors[-1][len("ERROR: ") :].rstrip(".") if errors else last_line(said)
    if locked:
        again += "; if the versions in %s are not to be had for this computer, " % LOCKED
        again += call(name + " VERSIONS=newest") + " takes what is"
    return ": %s; %s" % (reason, again)


# Cleaning up

LEFT = [".venv", ".venv-colab", FETCHED_FOLDER, ".versions", "book/_build", "build", "dist"]
LEFT += ["*.egg-info", ".hypothesis", ".pytest_cache", ".ruff_cache"]


def clean():
    """Remove what can be made again; a link goes, and what it leads to stays."""
    paths = [path for name in LEFT for path in glob.glob(os.path.join(glob_escape(ROOT), name))]
    for folder, folders, _ in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in (".git", ".venv", ".venv-colab")]
        paths += [os.path.join(folder, name) for name in folders if name == "__pycache__"]
    for path in paths:
        try:
            if os.path.islink(path):
                os.remove(path)
            elif os.path.isdir(path):
                shutil.rmtree(path)
        except EnvironmentError as problem:
            wrong = "%s cannot be removed (%s): close what uses it, and clean again."
            raise Refusal(wrong % (path, problem.strerror))


def _interrupt(*_):
    raise KeyboardInterrupt("kill")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(main(sys.argv[1:]))
