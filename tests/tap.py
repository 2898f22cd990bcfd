"""TAP for the scripts that start no daemon of the harness."""
import contextlib
import sys

SHOWN_MAX = 10  # problems of one result


class Tap:
    """Prints results as they come."""

    def __init__(self):
        self.count, self.failed = 0, False

    def ok(self, holds, what):
        self.count += 1
        self.failed |= not holds
        print(f'{"ok" if holds else "not ok"} {self.count} - {what}', flush=True)

    def check(self, problems, what):
        """A result that is good if the list of problems is empty."""
        for problem in problems[:SHOWN_MAX]:
            print(f'# {problem}')
        self.ok(not problems, what)

    def skip(self, what, reason):
        self.ok(True, f'{what} # SKIP {reason}')

    def end(self):
        """Prints the plan and returns the script's exit code."""
        print(f'1..{self.count}')
        return 1 if self.failed else 0


def skip_all(reason):
    """Ends the script."""
    print(f'1..1\nok 1 # SKIP {reason}')
    sys.exit(0)


@contextlib.contextmanager
def or_skip():
    """Imports without which the script is skipped."""
    try:
        yield
    except ImportError as missing:
        skip_all(missing)
