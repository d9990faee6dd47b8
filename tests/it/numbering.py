"""Google's libphonenumber, through the package phonenumbers: source of the table of numbering plans, and its check.

`python tests/it/numbering.py plans > src/model/plans.txt` regenerates the table, for example for another version of the
package. `numbers <seed> <count>` prints random numbers of all regions, with their country and whether they cost extra.
"""

import functools
import random
import sys
import textwrap

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata, PhoneNumberType

try:
    from re import _parser as parser
except ImportError:  # before Python 3.11
    import sre_parse as parser

COSTLY = {"premium_rate", "shared_cost"}
# Personal numbers of the United Kingdom (070) cost a caller from abroad as much as premium-rate numbers.
EXTRA = {44: {"personal_number"}}
TYPES = sorted(COSTLY) + [
    *("fixed_line", "mobile", "toll_free", "voip", "personal_number", "pager", "uan", "voicemail"),
]

# Without its calling code, no number has more digits.
E164 = set(range(15))

# A mixed prefix is split at least to MIN_DEPTH digits, and on to MAX_DEPTH while more digits narrow the answer.
MIN_DEPTH = 4
MAX_DEPTH = 7


class Pattern:
    """The numbers that match a pattern, as an automaton without loops: each state has its steps, by digit, and the numbers
    of digits that may follow."""

    def __init__(self, pattern):
        self.steps, self.left = [], []
        self.first = self.chain(parser.parse(pattern), [self.state([], {0})])

    def state(self, steps, left):
        self.steps.append(steps)
        self.left.append(left)
        return len(self.steps) - 1

    def chain(self, parts, ends):
        """The states from which these parts lead to `ends`."""
        for kind, value in reversed(parts):
            kind = str(kind)
            if kind == "LITERAL":
                ends = [self.step({chr(value)}, ends)]
            elif kind == "IN":
                ends = [self.step(set().union(*(digits(part) for part in value)), ends)]
            elif kind == "MAX_REPEAT":
                least, most, parts = value
                rest = ends
                for count in range(most, 0, -1):
                    ends = self.chain(parts, ends)
                    if count > least:
                        ends = sorted({*ends, *rest})
            elif kind == "SUBPATTERN":
                ends = self.chain(value[-1], ends)
            elif kind == "BRANCH":
                ends = sorted({state for branch in value[1] for state in self.chain(branch, ends)})
            else:
                raise ValueError(kind)
        return ends

    def step(self, digits, ends):
        return self.state([(digits, ends)], {1 + left for end in ends for left in self.left[end]})

    @functools.cache
    def after(self, prefix):
        """The states after a prefix."""
        if not prefix:
            return frozenset(self.first)
        steps = (step for state in self.after(prefix[:-1]) for step in self.steps[state])
        return frozenset(end for digits, ends in steps if prefix[-1] in digits for end in ends)

    def lengths(self, prefix):
        return {len(prefix) + left for state in self.after(prefix) for left in self.left[state]}


def digits(part):
    kind, value = part
    if str(kind) == "CATEGORY":
        return set("0123456789")
    low, high = (value, value) if str(kind) == "LITERAL" else value
    return {chr(digit) for digit in range(low, high + 1)}


pattern = functools.cache(Pattern)


def lengths(desc, prefix):
    """The lengths of the numbers of this description that begin with the prefix."""
    if not desc or not desc.national_number_pattern:
        return set()
    return pattern(desc.national_number_pattern).lengths(prefix) & set(desc.possible_length) & E164


def may_fit(desc, prefix):
    """Whether some number of this description begins with the prefix."""
    return bool(lengths(desc, prefix))


def may_begin(leading, prefix):
    """Whether a number that begins with the prefix may begin as the pattern says."""
    return any(end in pattern(leading).lengths(prefix[:end]) or end == len(prefix) and pattern(leading).after(prefix)
               for end in range(len(prefix) + 1))


def types(plan, prefix):
    """The types of the valid numbers that begin with the prefix, each with its lengths."""
    general = lengths(plan.general_desc, prefix)
    return frozenset((name, length) for name in TYPES for length in lengths(getattr(plan, name), prefix) & general)


def regions(plans, prefix):
    """The regions whose valid numbers may begin with the prefix. If there are several, the numbers belong to the first."""
    found = []
    for plan in plans:
        if plan.leading_digits:
            fits = may_begin(plan.leading_digits, prefix) and may_fit(plan.general_desc, prefix)
        else:
            fits = types(plan, prefix)
        if fits:
            found.append(plan.id)
    return found


def split(of, is_whole, least, prefix=""):
    """The shortest prefixes, of at least `least` digits, that are whole, each with the value of `of`. A prefix stays mixed
    where more digits do not narrow the answer."""
    found = of(prefix)
    if not found:
        return []
    if len(prefix) >= least:
        ways = [of(prefix + digit) for digit in "0123456789"]
        is_stuck = len(prefix) >= MIN_DEPTH and all(way in (found, type(found)()) for way in ways)
        if is_whole(found) or is_stuck or len(prefix) == MAX_DEPTH:
            return [(prefix, found)]
    parts = [part for digit in "0123456789" for part in split(of, is_whole, least, prefix + digit)]
    if len(prefix) >= least and all(way == found for _, way in parts):
        return [(prefix, found)]
    return parts


def countries(plans):
    """Prefixes by region, without those of the main region."""
    main, by_region = plans[0].id, {}
    # In zone 1, whole area codes: an unassigned one may go to any country.
    least = 3 if main == "US" else 1
    for prefix, found in split(lambda prefix: regions(plans, prefix), lambda found: len(found) == 1, least):
        # libphonenumber assigns numbers of several regions, such as toll-free numbers of zone 1, to the first.
        if found[0] != main or main == "US":
            by_region.setdefault(found[0], []).append(prefix)
    return by_region


def costly(plans, code):
    """Prefixes of numbers whose callers pay extra, or may; and those among them whose numbers of some lengths are plain, by
    these lengths."""
    dear = COSTLY | EXTRA.get(code, set())

    def of(prefix):
        return frozenset().union(*(types(plan, prefix) for plan in plans))

    def names(prefix):
        return frozenset(name for name, _ in of(prefix))

    def is_whole(found):
        return not found & dear or found <= dear

    prefixes = [prefix for prefix, found in split(names, is_whole, 1) if found & dear]
    plain = {}
    for prefix in prefixes:
        of_dear = {length for name, length in of(prefix) if name in dear}
        if least := {length for _, length in of(prefix)} - of_dear:
            plain.setdefault(tuple(sorted(least)), []).append(prefix)
    return join(prefixes), {lengths: join(prefixes) for lengths, prefixes in plain.items()}


def beginnings(plans):
    """The first two digits of all valid numbers, by the lengths of these numbers."""
    by_lengths = {}
    for prefix in (f"{digits:02}" for digits in range(100)):
        if found := {length for plan in plans for _, length in types(plan, prefix)}:
            by_lengths.setdefault(tuple(sorted(found)), []).append(prefix)
    return {lengths: join(prefixes) for lengths, prefixes in sorted(by_lengths.items())}


def join(prefixes):
    """Replaces ten prefixes that differ only in the last digit with their common start."""
    prefixes = set(prefixes)
    for length in range(MAX_DEPTH, 1, -1):
        for head in {prefix[:-1] for prefix in prefixes if len(prefix) == length}:
            if all(head + digit in prefixes for digit in "0123456789"):
                prefixes = {prefix for prefix in prefixes if not prefix.startswith(head)} | {head}
    return sorted(prefixes)


def plans():
    """Prints the table. A line classifies prefixes behind a calling code; the first line that matches a number wins."""
    print(HEAD.format(version=phonenumbers.__version__))
    for code, names in sorted(COUNTRY_CODE_TO_REGION_CODE.items(), key=lambda item: str(item[0])):
        if names == ("001",):
            continue
        known = [PhoneMetadata.metadata_for_region(name) for name in names]
        lines("lengths", map(str, sorted(lengths(known[0].general_desc, ""))), code)
        if any(may_fit(plan.general_desc, "0") for plan in known):
            lines("zero", ["0"], code)
        lines("trunk", filter(None, [known[0].national_prefix]), code)
        dear, plain = costly(known, code)
        lines("costly", dear, code)
        for word, by_lengths in ("plain", plain), ("begin", beginnings(known)):
            for of, prefixes in by_lengths.items():
                lines(f"{word}:{','.join(map(str, of))}", prefixes, code)
        for name, prefixes in countries(known).items():
            lines(name, prefixes, code)
        # No catch-all in zone 1: a new area code need not be in the United States.
        if code != 1:
            lines(names[0], ["*"], code)


def lines(word, prefixes, code):
    for line in textwrap.wrap(" ".join(prefixes), 100):
        print(code, word, line)


HEAD = """\
# The world's numbering plans: a number's country, and whether its caller pays extra.
# Source: Google's libphonenumber, as of the Python package phonenumbers {version}, which takes the plans from the ITU
# and each country's regulator. Generated by tests/it/numbering.py, which says how to regenerate this file.
#
# calling code, word, prefixes behind the code
#   lengths   possible numbers of digits behind the code
#   zero      numbers may begin with 0; elsewhere a leading 0 is a national prefix, which is not dialed from abroad
#   trunk     the national prefix, which is dialed before the digits within the country only
#   costly    premium-rate and shared-cost numbers
#   plain:9   exceptions among them: numbers that have 9 digits behind the code
#   begin:9   the first two digits of valid numbers that have 9 digits behind the code
#   US, CA …  numbers of this country; * for every number that no line above matches"""


parsed = functools.cache(parser.parse)


def example(pattern):
    """A random text that matches the pattern."""
    out = []

    def write(parts):
        for kind, value in parts:
            kind = str(kind)
            if kind == "LITERAL":
                out.append(chr(value))
            elif kind == "IN":
                kind, value = random.choice([part for part in value for _ in range(width(part))])
                kind = str(kind)
                if kind == "CATEGORY":
                    out.append(random.choice("0123456789"))
                else:
                    out.append(chr(value) if kind == "LITERAL" else chr(random.randint(*value)))
            elif kind == "MAX_REPEAT":
                least, most, parts = value
                for _ in range(random.randint(least, most)):
                    write(parts)
            elif kind == "SUBPATTERN":
                write(value[-1])
            elif kind == "BRANCH":
                write(random.choice(value[1]))
            else:
                raise ValueError(kind)

    write(parsed(pattern))
    return "".join(out)


def width(part):
    kind, value = part
    return {"LITERAL": 1, "CATEGORY": 10}.get(str(kind)) or value[1] - value[0] + 1


def numbers(seed, count):
    """Prints valid numbers, each with its region (001: none) and whether it is costly."""
    random.seed(int(seed))
    kinds = []
    for code, names in COUNTRY_CODE_TO_REGION_CODE.items():
        for name in names:
            plan = PhoneMetadata.metadata_for_region_or_calling_code(code, name)
            descs = [getattr(plan, kind) for kind in TYPES]
            kinds.append((code, [desc.national_number_pattern for desc in descs if desc and desc.national_number_pattern]))
    left = int(count)
    while left:
        code, patterns = random.choice(kinds)
        number = phonenumbers.parse(f"+{code}{example(random.choice(patterns))}")
        text = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        if not phonenumbers.is_valid_number(number) or not 8 <= len(text) <= 16:
            continue
        kind = phonenumbers.number_type(number)
        is_costly = kind in (PhoneNumberType.PREMIUM_RATE, PhoneNumberType.SHARED_COST)
        print(text, phonenumbers.region_code_for_number(number), "costly" if is_costly else "plain")
        left -= 1


if __name__ == "__main__":
    {"plans": plans, "numbers": numbers}[sys.argv[1]](*sys.argv[2:])
