"""Commands that make the machine worse for the one program that they execute."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../integration"))
import harness  # noqa: E402

# Limits count what a user runs beside the test, so this one is hardly ever another's: systemd gives
# away none from 60578 to 61183, and other tests have other process numbers.
USER = str(60578 + os.getpid() % 606)
UNPRIVILEGED = ("setpriv", "--pdeathsig", "keep",  # or a daemon would outlive the test
                "--reuid", USER, "--regid", USER, "--clear-groups")


def after(script):
    """A shell does `script`, then becomes the program."""
    return ("sh", "-c", script + '; exec "$@"', "sh")


def need_root():
    if os.geteuid() != 0:
        raise harness.Skip("only for root")


def unprivileged(*more):
    """As a user who owns nothing."""
    need_root()
    if subprocess.run([*UNPRIVILEGED, "test", "-x", harness.DAEMON],
                      stderr=subprocess.DEVNULL).returncode:
        raise harness.Skip("other users cannot reach the build folder")
    os.chmod(harness.WORK, 0o755)
    return (*more, *UNPRIVILEGED)


def namespace(script):
    """After mounts that only the program sees."""
    need_root()
    if subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL).returncode:
        raise harness.Skip("no mount namespaces here")
    return ("unshare", "-m", "--propagation", "private", *after("set -e; " + script + "; set +e"))
