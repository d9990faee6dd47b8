"""The Python side of vendor_clients.rs: the vendors' own libraries, with only their base URL changed.

The first argument names a function below; the environment has the addresses and credentials. A function's result is
printed as JSON, for the Rust side to compare.
"""

import datetime
import hashlib
import json
import os
import sys

import assemblyai as aai
import requests
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client
from twilio.twiml.voice_response import VoiceResponse

ACCOUNT, TOKEN = os.environ["TWILIO_ACCOUNT_SID"], os.environ["TWILIO_AUTH_TOKEN"]
PROGRAM = os.environ["BASE_URL"]


def twilio(user=ACCOUNT, password=TOKEN):
    client = Client(user, password, ACCOUNT)
    client.api.base_url = os.environ["TWILIO_API_URL"]
    return client


def dial(client):
    return client.calls.create(
        to="+14155551234",
        from_=os.environ["TWILIO_PHONE_NUMBER"],
        url=PROGRAM + "/record/",
        status_callback=PROGRAM + "/hooks/twilio/call",
        status_callback_event=["initiated", "answered", "completed"],
        time_limit=60,
    )


def until(client, call, status):
    while (found := client.calls(call).fetch()).status != status:
        assert found.status in ("queued", "ringing", "in-progress"), found.status
    return found


def refused(act):
    try:
        act()
    except TwilioRestException as error:
        return [error.status, error.code]
    raise AssertionError("the request was not refused")


def places_and_follows_a_call():
    client = twilio()
    created = dial(client)
    assert created.status == "queued" and created.to == "+14155551234", vars(created)
    assert created.date_created.tzinfo is not None, "the library parses the date"
    done = until(client, created.sid, "completed")
    assert int(done.duration) > 0 and done.end_time >= done.start_time, vars(done)
    assert [call.sid for call in client.calls.list(status="completed")] == [created.sid]
    assert client.calls(created.sid).delete() is True
    assert refused(client.calls(created.sid).fetch) == [404, 20404]
    return created.sid


def hangs_up_a_live_call():
    client = twilio()
    call = dial(client)
    until(client, call.sid, "in-progress")
    client.calls(call.sid).update(status="completed")
    assert client.calls(call.sid).fetch().status == "completed"
    assert refused(lambda: client.calls(call.sid).update(status="completed")) == [400, 21220]
    return call.sid


def lists_only_what_is_asked_for():
    client = twilio()
    sid = os.environ["CALL"]
    now = datetime.datetime.now(datetime.timezone.utc)
    old, soon = now - datetime.timedelta(days=30), now + datetime.timedelta(days=1)
    assert client.calls.list(start_time_before=old) == [] and client.calls.list(end_time_after=soon) == []
    assert client.recordings.list(date_created_before=old.date()) == [] == client.recordings.list(date_created_after=soon)
    assert client.calls(sid).recordings.list(date_created_before=old) == []
    assert client.calls.list(parent_call_sid=sid) == [] == client.recordings.list(conference_sid="CF" + 32 * "0")
    assert [call.sid for call in client.calls.list(start_time_after=old, start_time_before=soon)] == [sid]
    assert [recording.call_sid for recording in client.recordings.list(date_created_after=old)] == [sid]


def redirects_a_live_call():
    client = twilio()
    number = os.environ["TWILIO_PHONE_NUMBER"]
    call = client.calls.create(to="+14155551234", from_=number, twiml="<Response><Say>Ahoy!</Say></Response>")
    until(client, call.sid, "in-progress")
    assert client.calls(call.sid).update(twiml="<Response><Hangup/></Response>").status == "in-progress"
    detected = dict(to="+14155551234", from_=number, url=PROGRAM, machine_detection="Enable")
    try:
        client.calls.create(**detected)
    except TwilioRestException as error:
        return [call.sid, error.msg]
    raise AssertionError("the request was not refused")


def connects_two_calls():
    client = twilio()
    number = os.environ["TWILIO_PHONE_NUMBER"]
    response = VoiceResponse()
    dial = response.dial(caller_id=number, record="record-from-answer-dual", trim="do-not-trim", time_limit=60)
    dial.number("+14155559876")
    call = client.calls.create(to="+14155551234", from_=number, twiml=response)
    until(client, call.sid, "completed")
    [child] = client.calls.list(parent_call_sid=call.sid)
    assert (child.parent_call_sid, child.direction, child.status) == (call.sid, "outbound-dial", "completed"), vars(child)
    assert (child._from, child.to) == (number, "+14155559876"), vars(child)
    assert client.calls(child.sid).fetch().sid == child.sid
    assert client.calls(child.sid).recordings.list() == []
    [recording] = client.calls(call.sid).recordings.list()
    while (recording := client.recordings(recording.sid).fetch()).status != "completed":
        pass
    assert (recording.channels, recording.source) == (2, "DialVerb"), vars(recording)
    audio = requests.get(recording.media_url + ".wav", params={"RequestedChannels": 2}, auth=(ACCOUNT, TOKEN))
    return {"call": call.sid, "recording": recording.sid, "sha256": hashlib.sha256(audio.content).hexdigest()}


def lists_fetches_and_deletes_recordings():
    client = twilio()
    call = os.environ["CALL"]
    of_call = [recording.sid for recording in client.calls(call).recordings.list()]
    assert of_call == [recording.sid for recording in client.recordings.list(call_sid=call, page_size=2)]
    over_pages = [recording.sid for recording in client.recordings.list(page_size=2)]
    assert over_pages == [recording.sid for recording in client.recordings.list()], "all pages together are the whole list"
    assert len(set(over_pages)) == len(over_pages)
    page = client.recordings.page(page_size=2)
    assert [recording.sid for recording in page] == over_pages[:2]
    assert [recording.sid for recording in page.next_page()] == over_pages[2:4]

    newest = client.recordings(over_pages[0]).fetch()
    assert (newest.status, newest.channels, newest.source) == ("completed", 1, "RecordVerb"), vars(newest)
    audio = requests.get(newest.media_url + ".wav", auth=(ACCOUNT, TOKEN))
    assert client.recordings(newest.sid).delete() is True
    assert refused(client.recordings(newest.sid).fetch) == [404, 20404]
    assert len(client.recordings.list()) == len(over_pages) - 1
    return {"of_call": of_call, "of_account": over_pages, "sha256": hashlib.sha256(audio.content).hexdigest()}


def is_refused_with_twilios_codes():
    def to(number):
        return lambda: twilio().calls.create(to=number, from_="+15005550006", url=PROGRAM + "/record/")

    return {
        "an invalid number": refused(to("+15005550001")),
        "a country": refused(to("+15005550003")),
        "no number": refused(to("somebody")),
        "a caller": refused(lambda: twilio().calls.create(to="+14155551234", from_="+14155550000", url=PROGRAM)),
        "an unknown call": refused(twilio().calls("CA" + 32 * "0").fetch),
        "a wrong token": refused(twilio(password="wrong").calls("CA" + 32 * "0").fetch),
    }


def logs_in_with_an_api_key():
    client = twilio(os.environ["TWILIO_API_KEY"], os.environ["TWILIO_API_SECRET"])
    assert client.calls(os.environ["CALL"]).fetch().sid == os.environ["CALL"]


def transcribes_a_file():
    aai.settings.base_url = os.environ["ASSEMBLYAI_API_URL"]
    aai.settings.api_key = os.environ["ASSEMBLYAI_KEY"]
    aai.settings.polling_interval = 0.001
    config = aai.TranscriptionConfig(
        speech_models=["assemblyai-stt-3-7", "universal-2"], keyterms_prompt=["ahoy", "Call Scribe"], speaker_labels=True
    )
    done = aai.Transcriber().transcribe(os.environ["SPEECH"], config)
    assert done.status == aai.TranscriptStatus.completed, done.error
    assert " ".join(word.text for word in done.words) == done.text
    assert [utterance.speaker for utterance in done.utterances] == ["A"]
    assert done.json_response["keyterms_prompt"] == ["ahoy", "Call Scribe"]
    assert done.json_response["speech_model_used"] == "assemblyai-stt-3-7"
    srt, vtt = done.export_subtitles_srt(), done.export_subtitles_vtt(chars_per_caption=32)
    assert srt.startswith("1\n00:00:0") and vtt.startswith("WEBVTT\n"), (srt, vtt)
    assert len(done.get_sentences()) >= 1 and len(done.get_paragraphs()) == 1
    assert done.word_search([done.words[0].text])[0].count >= 1
    assert aai.Transcript.get_by_id(done.id).text == done.text
    listed = aai.Transcriber().list_transcripts()
    assert [item.id for item in listed.transcripts] == [done.id]

    lost = aai.Transcriber().transcribe("https://example.com/nothing.wav", config)
    assert lost.status == aai.TranscriptStatus.error and lost.error.startswith("Download error"), lost.error
    deleted = aai.Transcript.delete_by_id(done.id)
    assert deleted.text == "Deleted by user." and not deleted.words, deleted.json_response
    return {"id": done.id, "text": done.text}


def writes_what_is_asked_for():
    aai.settings.base_url = os.environ["ASSEMBLYAI_API_URL"]
    aai.settings.api_key = os.environ["ASSEMBLYAI_KEY"]
    aai.settings.polling_interval = 0.001
    config = aai.TranscriptionConfig(audio_start_from=2_000, audio_end_at=4_300, punctuate=False)
    config.set_custom_spelling({"Shipp": ["ship"]})
    config.set_redact_pii(policies=[aai.PIIRedactionPolicy.location], substitution=aai.PIISubstitutionPolicy.hash)
    texts = [aai.Transcriber().transcribe(os.environ["SPEECH"], config).text]
    for config in (
        aai.TranscriptionConfig(sentiment_analysis=True),
        aai.TranscriptionConfig(language_code="zz"),
        aai.TranscriptionConfig().set_redact_pii(policies=[aai.PIIRedactionPolicy.location], redact_audio=True),
    ):
        try:
            aai.Transcriber().transcribe(os.environ["SPEECH"], config)
            texts.append("accepted")
        except aai.types.TranscriptError as error:
            texts.append(str(error))
    return texts


def is_refused_in_assemblyais_words():
    aai.settings.base_url = os.environ["ASSEMBLYAI_API_URL"]
    aai.settings.api_key = "wrong"
    try:
        aai.Transcriber().transcribe("https://example.com/nothing.wav")
    except aai.types.TranscriptError as error:
        return str(error)
    raise AssertionError("the request was not refused")


class Form(list):
    """Names and values in their original order, in the shape that web frameworks pass to the validator."""

    def __iter__(self):
        return (name for name, _ in super().__iter__())

    def getall(self, wanted):
        return [value for name, value in super().__iter__() if name == wanted]


def checks_the_signatures_of_callbacks():
    validator = RequestValidator(TOKEN)
    callbacks = json.load(sys.stdin)
    for callback in callbacks:
        url, form, signature = callback["url"], callback["form"], callback["signature"]
        assert validator.validate(url, Form(form), signature), callback
        assert not validator.validate(url, Form(form + [["Extra", "1"]]), signature), callback
        assert not validator.validate(url + "/", Form(form), signature), callback
    return len(callbacks)


def signs_callbacks():
    """The program's status codes for callbacks with valid and invalid signatures by the official library."""
    call = [("AccountSid", ACCOUNT), ("CallSid", "CA" + 32 * "0"), ("CallStatus", "ringing")]
    unusual = [("Empty", ""), ("Umlaut", "Zoë & Jörg + 1"), ("Colors", "2"), ("Colors", "1"), ("Colors", "1")]
    body = json.dumps({"property": "value", "boolean": True}).encode()
    digest = hashlib.sha256(body).hexdigest()
    answers = {}

    def send(name, method, path, form=None, json_body=None, signed=lambda url: url, token=TOKEN, change=None):
        request = requests.Request(method, PROGRAM + path, data=form or json_body).prepare()
        params = json_body and {} or Form(form or [])
        signature = RequestValidator(token).compute_signature(signed(request.url), params)
        if change:
            change(request)
        request.headers["X-Twilio-Signature"] = signature
        answers[name] = requests.Session().send(request).status_code

    def grow(request):
        request.prepare_body(request.body + "&More=1" if isinstance(request.body, str) else request.body + b" ", None)
        request.headers["Content-Type"] = "application/x-www-form-urlencoded"

    query = "?" + requests.models.RequestEncodingMixin._encode_params(call)
    send("a form", "POST", "/hooks/twilio/call", call)
    send("unusual values", "POST", "/hooks/twilio/call", call + unusual)
    send("a query beside the form", "POST", "/hooks/twilio/call?b=%20x&a=%C3%AB", call)
    send("a query alone", "GET", "/record/" + query)
    send("an address without its port", "POST", "/record/", call, signed=lambda url: "http://127.0.0.1/record/")
    send("JSON by its hash", "POST", "/hooks/twilio/call?bodySHA256=" + digest, json_body=body)
    send("another token", "POST", "/hooks/twilio/call", call, token="another")
    send("another parameter", "POST", "/hooks/twilio/call", call, change=grow)
    send("another path", "POST", "/hooks/twilio/call", call, signed=lambda url: url + "s")
    send("another body", "POST", "/hooks/twilio/call?bodySHA256=" + digest, json_body=body, change=grow)
    return answers


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]]()))
