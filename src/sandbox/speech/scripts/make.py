#!/usr/bin/env python3
"""Makes the audio (`NAME.ima.gz`) and the words (`NAME.json`) of the scripts: see ../SOURCE.md.

Run it in this folder. It needs espeak-ng's library and sox.
"""

import array
import ctypes
import gzip
import json
import random
import re
import subprocess

VOICES = {
    "clinic": {"party": ("en-us+f3", 185, 55), "operator": ("en-gb", 190, 40)},
    "engineer": {"party": ("en-us+m3", 200, 45), "operator": ("en-gb+f4", 195, 55)},
    "law": {"party": ("en-gb+m7", 190, 40), "operator": ("en-us+f2", 190, 55)},
}
RATE = 8_000
# Samples below this are silence at both ends of a line. A little of it is kept.
QUIET = 250
KEPT = RATE // 50


class Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int), ("unique_identifier", ctypes.c_uint), ("text_position", ctypes.c_int),
        ("length", ctypes.c_int), ("audio_position", ctypes.c_int), ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p), ("id", ctypes.c_char * 8),
    ]


WORD, END_OF_LIST = 1, 0
CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(Event))
espeak = ctypes.CDLL("libespeak-ng.so.1")
own_rate = espeak.espeak_Initialize(2, 0, None, 0)  # synchronously, to the callback alone
samples, events = array.array("h"), []


@CALLBACK
def hear(wave, count, event):
    if wave and count:
        samples.extend(wave[:count])
    at = 0
    while event[at].type != END_OF_LIST:
        if event[at].type == WORD:
            events.append((event[at].text_position - 1, event[at].audio_position))
        at += 1
    return 0


def synthesize(voice, text):
    """Returns the samples at 8 kHz, and when each character position at which a word begins is spoken, in ms."""
    name, speed, pitch = voice
    del samples[:], events[:]
    espeak.espeak_SetVoiceByName(name.encode())
    espeak.espeak_SetParameter(1, speed, 0)
    espeak.espeak_SetParameter(3, pitch, 0)
    espeak.espeak_SetSynthCallback(hear)
    encoded = text.encode() + b"\0"
    assert espeak.espeak_Synth(encoded, len(encoded), 0, 1, 0, 1, None, None) == 0
    espeak.espeak_Synchronize()
    convert = ["sox", "-D", "-t", "raw", "-r", str(own_rate), "-e", "signed", "-b", "16", "-c", "1", "-",
               "-t", "raw", "-", "gain", "-8", "highpass", "200", "treble", "+4", "1800", "rate", str(RATE), "norm", "-7"]
    out = subprocess.run(convert, input=samples.tobytes(), stdout=subprocess.PIPE, check=True).stdout
    return array.array("h", out), list(events)


def line(voice, text):
    """Returns the samples of a line without silence around it, and its words with their times in ms."""
    written, spoken, starts = [], "", []
    for token in re.findall(r"\[[^\]]*\]|\S+", text):
        shown, _, said = token.strip("[]").partition("|")
        written.append(shown)
        starts.append(len(spoken))
        spoken += (said or shown) + " "
    audio, heard = synthesize(voice, spoken.strip())
    loud = [at for at, sample in enumerate(audio) if abs(sample) > QUIET]
    first, last = max(loud[0] - KEPT, 0), min(loud[-1] + KEPT, len(audio))
    begins = []
    for start, end in zip(starts, starts[1:] + [len(spoken)]):
        begins.append(next((time for position, time in heard if start <= position < end), None))
    # Some pairs, such as "from the", are one word to the synthesizer: they share its time by their letters.
    for at, begin in enumerate(begins):
        if begin is None:
            before, after = begins[at - 1], begins[at + 1]
            share = len(written[at - 1]) / (len(written[at - 1]) + len(written[at]))
            begins[at] = round(before + (after - before) * share)
    begins = [max(0, begin - first * 1000 // RATE) for begin in begins]
    length = (last - first) * 1000 // RATE
    words = []
    for at, begin in enumerate(begins):
        end = begins[at + 1] if at + 1 < len(begins) else length
        # The pause after a sentence or a comma is no part of the word before.
        while end > begin + 40 and quiet(audio, first, end - 20, end):
            end -= 20
        while begin < end - 40 and quiet(audio, first, begin, begin + 20):
            begin += 20
        words.append((written[at], begin, end))
    return audio[first:last], words


def quiet(audio, first, begin, end):
    return all(abs(sample) <= QUIET for sample in audio[first + begin * RATE // 1000:first + end * RATE // 1000])


def make(name, chance):
    whole, turns, end = array.array("h"), [], 0
    for text in open(f"{name}.txt"):
        if text.startswith("#") or not text.strip():
            continue
        who, gap, text = text.split(None, 2)
        audio, words = line(VOICES[name][who], text)
        start = end + int(gap)
        if len(audio) % 2:
            audio.append(0)
        turns.append((who, start, len(audio), words))
        # An overlapping line that is short does not end the longer one.
        end = max(end, start + len(audio) * 1000 // RATE)
        whole.extend(audio)
    encode = ["sox", "-D", "-t", "raw", "-r", str(RATE), "-e", "signed", "-b", "16", "-c", "1", "-", "-t", "ima", "-"]
    encoded = subprocess.run(encode, input=whole.tobytes(), stdout=subprocess.PIPE, check=True).stdout
    packed = gzip.compress(encoded, 9, mtime=0)
    with open(f"{name}.ima.gz", "wb") as file:
        file.write(packed)
    with open(f"{name}.json", "w") as file:
        print("[", file=file)
        for at, (who, start, count, words) in enumerate(turns):
            head = json.dumps({"speaker": who, "start": start, "samples": count})[:-1]
            print(f'  {head}, "words": [', file=file)
            rows = [
                json.dumps({"text": text, "start": begin, "end": stop, "confidence": round(chance.uniform(0.9, 0.99), 2)})
                for text, begin, stop in words
            ]
            print("    " + ",\n    ".join(rows), file=file)
            print("  ]}" + ("," if at + 1 < len(turns) else ""), file=file)
        print("]", file=file)
    print(name, f"{end / 1000:.1f} s,", len(packed), "bytes,", sum(len(turn[3]) for turn in turns), "words")


for name in VOICES:
    make(name, random.Random(name))
