"""What the packages jiwer and whisper-normalizer make of texts, for accuracy.rs.

The first argument names a function, of which each line of standard input, as JSON, has the arguments. Standard output has
a line of JSON for each.
"""

import itertools
import json
import sys

import jiwer
from whisper_normalizer.basic import BasicTextNormalizer

whisper_basic = BasicTextNormalizer()
assemblyai = jiwer.Compose([jiwer.ToLowerCase(), jiwer.RemovePunctuation(), jiwer.RemoveMultipleSpaces(), jiwer.Strip()])
NORMALIZATIONS = {"whisper-basic": whisper_basic, "assemblyai": assemblyai, "none": str}
SPLIT = jiwer.Compose([jiwer.ReduceToListOfListOfWords()])


def compared(normalize, reference, hypothesis):
    """The words of the reference, what jiwer counts of words, and what it counts of characters."""
    reference, hypothesis = (words(normalize, text) for text in (reference, hypothesis))
    of_words = aligned(reference, hypothesis)
    of_characters = jiwer.process_characters("".join(reference), "".join(hypothesis)) if reference else None
    return [reference, counts(of_words), counts(of_characters), of_words and of_words.wer]


def words(normalize, text):
    # jiwer splits only at spaces, and leaves a single line break or tab.
    return NORMALIZATIONS[normalize](text).split()


def aligned(reference, hypothesis):
    """jiwer refuses a reference without words."""
    return jiwer.process_words(" ".join(reference), " ".join(hypothesis), SPLIT, SPLIT) if reference else None


def counts(of):
    return of and [of.hits, of.substitutions, of.deletions, of.insertions]


def keyterms(terms, reference, hypothesis):
    """For each term how often it was said, how often it was heard there, and how often elsewhere. As the manual defines it,
    over the columns of the alignment."""
    reference, hypothesis = words("whisper-basic", reference), words("whisper-basic", hypothesis)
    columns = []
    for chunk in aligned(reference, hypothesis).alignments[0]:
        columns += itertools.zip_longest(
            reference[chunk.ref_start_idx:chunk.ref_end_idx], hypothesis[chunk.hyp_start_idx:chunk.hyp_end_idx])
    said_at = [at for at, (said, _) in enumerate(columns) if said is not None]
    heard_at = [at for at, (_, heard) in enumerate(columns) if heard is not None]
    found = []
    for term in terms:
        term = words("whisper-basic", term)
        said = places(term, said_at, [columns[at][0] for at in said_at])
        heard = [place for place in said if [columns[at][1] for at in place] == term]
        false = [place for place in places(term, heard_at, [columns[at][1] for at in heard_at]) if place not in heard]
        found.append([len(said), len(heard), len(false)])
    return found


def places(term, at, words):
    """The columns of each place where the term stands, given the words and the column of each."""
    starts = range(len(words) - len(term) + 1)
    return [at[start:start + len(term)] for start in starts if words[start:start + len(term)] == term]


def attributed(reference, hypothesis):
    """The fewest errors over all ways to match speakers, given the text of each."""
    size = max(len(reference), len(hypothesis))
    reference, hypothesis = ([text.split() for text in texts] + [[]] * (size - len(texts)) for texts in (reference, hypothesis))
    # Nobody's words are all wrong.
    errors = [[errors_of(one, other) for other in hypothesis] for one in reference]
    orders = itertools.permutations(range(size))
    return min(sum(errors[one][other] for one, other in enumerate(order)) for order in orders)


def errors_of(reference, hypothesis):
    of = aligned(reference, hypothesis)
    return of.substitutions + of.deletions + of.insertions if of else len(hypothesis)


if __name__ == "__main__":
    function = globals()[sys.argv[1]]
    for line in sys.stdin:
        print(json.dumps(function(*json.loads(line))))
