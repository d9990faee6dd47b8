//! Files that are sent in pieces.

use serde_json::{Value, json};

use super::operation::{FORM, Group, Operation, delete, get, head, options, patch, post};
use crate::clients::assemblyai::limits::LARGEST_UPLOAD;
use crate::web::tus::{SpooledView, Waiting};

pub(super) fn group() -> Group {
    let bytes = || json!({ "type": "integer", "minimum": 0 });
    let form = json!({
        "schema": {
            "type": "object", "additionalProperties": { "type": "string" },
            "properties": { "keyterms": { "type": "string" }, "language_code": { "type": "string" } },
        },
    });
    let piece = json!({ "schema": {} });
    let operations = vec![
        options("/uploads", "describe_uploads", "Says which version and extensions of tus there are")
            .nothing(204, "In `Tus-Version`, `Tus-Extension` and `Tus-Max-Size`."),
        tus(post("/uploads", "begin_upload", "Begins a file"))
            .says("All fields of `POST /transcribe` may come as a form, but for those that name the audio.")
            .header("Upload-Length", true, json!({ "type": "integer", "minimum": 1, "maximum": LARGEST_UPLOAD }), "The bytes of the file, 2.2 GB at most.")
            .header(
                "Upload-Metadata",
                false,
                json!({ "type": "string" }),
                "`filename`, `title`, `tag`, `keyterms` and `again`, each with its value in Base64: `filename Y2FsbC53YXY=`.",
            )
            .body_of(FORM, form)
            .body_is_optional()
            .once_by_key()
            .nothing(201, "Its address is in `Location`.")
            .refused(&["bad-keyterms", "no-room", "spool", "too-many-uploads"]),
        get("/uploads/{id}", "get_upload", "Says how far a file is")
            .query::<Waiting>()
            .json::<SpooledView>(200, "With `wait`, once it is sent on or has failed, or the seconds have passed.")
            .refused(&["no-such-upload", "spool"]),
        tus(head("/uploads/{id}", "get_upload_offset", "Says how much of a file was received"))
            .nothing(200, "In `Upload-Offset` and `Upload-Length`.")
            .refused(&["no-such-upload", "spool"]),
        tus(patch("/uploads/{id}", "append_to_upload", "Appends a piece"))
            .header("Upload-Offset", true, bytes(), "Where it goes on.")
            .body_of("application/offset+octet-stream", piece)
            .nothing(204, "How much was received is in `Upload-Offset`.")
            .refused(&["locked", "no-room", "no-such-upload", "other-offset", "spool"]),
        tus(delete("/uploads/{id}", "cancel_upload", "Removes a file that is not wanted any more"))
            .nothing(204, "It is gone.")
            .refused(&["locked", "no-such-upload", "spool"]),
    ];
    Group {
        name: "Uploads in pieces",
        says: "[tus](https://tus.io/protocols/resumable-upload) 1.0.0 with creation, termination and expiration: a file whose \
               connection breaks continues where it was.",
        operations,
    }
}

/// What every request of the protocol has.
fn tus(operation: Operation) -> Operation {
    let version: Value = json!({ "type": "string", "const": "1.0.0" });
    operation.header("Tus-Resumable", true, version, "The version of the protocol.").refused(&["other-version"])
}
