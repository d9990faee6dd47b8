"""Reads captions with the packages srt and webvtt-py, for export.rs.

Standard input is a JSON list of pairs: an SRT file and a WebVTT file. Standard output is a JSON list of pairs: the cues
of each.
"""

import io
import json
import sys
from datetime import timedelta

import srt
import webvtt


def read_srt(text):
    cues = list(srt.parse(text))
    assert [cue.index for cue in cues] == list(range(1, len(cues) + 1))
    ms = timedelta(milliseconds=1)
    return [[cue.start // ms, cue.end // ms, None, cue.content] for cue in cues]


def read_vtt(text):
    cues = webvtt.from_buffer(io.StringIO(text))
    return [[ms(cue.start), ms(cue.end), cue.voice, cue.raw_text] for cue in cues]


def ms(clock):
    hours, minutes, seconds = clock.split(":")
    return (int(hours) * 60 + int(minutes)) * 60_000 + int(seconds.replace(".", ""))


if __name__ == "__main__":
    print(json.dumps([[read_srt(srt), read_vtt(vtt)] for srt, vtt in json.load(sys.stdin)]))
