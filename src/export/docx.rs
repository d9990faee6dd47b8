//! A document as DOCX, which is Office Open XML: <https://ecma-international.org/publications-and-standards/standards/ecma-376/>.

use quick_xml::Writer;
use quick_xml::escape::escape;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

use super::document::{Document, Paragraph, line};
use super::zip::Zip;

const CONTENT_TYPES: &str = concat!(
    r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>"#,
    "\n",
    r#"<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">"#,
    r#"<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>"#,
    r#"<Default Extension="xml" ContentType="application/xml"/>"#,
    r#"<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/>"#,
    r#"<Override PartName="/word/styles.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.styles+xml"/>"#,
    r#"<Override PartName="/docProps/core.xml" ContentType="application/vnd.openxmlformats-package.core-properties+xml"/>"#,
    "</Types>",
);

const PARTS: &str = concat!(
    r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>"#,
    "\n",
    r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">"#,
    r#"<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/>"#,
    r#"<Relationship Id="rId2" Type="http://schemas.openxmlformats.org/package/2006/relationships/metadata/core-properties" Target="docProps/core.xml"/>"#,
    "</Relationships>",
);

const PARTS_OF_DOCUMENT: &str = concat!(
    r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>"#,
    "\n",
    r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">"#,
    r#"<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles" Target="styles.xml"/>"#,
    "</Relationships>",
);

/// Sizes are in half points, distances in twentieths of a point.
const STYLES: &str = concat!(
    r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>"#,
    "\n",
    r#"<w:styles xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">"#,
    r#"<w:docDefaults><w:rPrDefault><w:rPr><w:rFonts w:ascii="Calibri" w:hAnsi="Calibri" w:cs="Calibri"/><w:sz w:val="22"/><w:szCs w:val="22"/></w:rPr></w:rPrDefault>"#,
    r#"<w:pPrDefault><w:pPr><w:spacing w:after="120" w:line="276" w:lineRule="auto"/></w:pPr></w:pPrDefault></w:docDefaults>"#,
    r#"<w:style w:type="paragraph" w:default="1" w:styleId="Normal"><w:name w:val="Normal"/><w:qFormat/></w:style>"#,
    r#"<w:style w:type="paragraph" w:styleId="Title"><w:name w:val="Title"/><w:basedOn w:val="Normal"/><w:next w:val="Normal"/><w:qFormat/>"#,
    r#"<w:pPr><w:keepNext/><w:spacing w:after="60"/></w:pPr><w:rPr><w:b/><w:bCs/><w:sz w:val="36"/><w:szCs w:val="36"/></w:rPr></w:style>"#,
    r#"<w:style w:type="paragraph" w:styleId="Subtitle"><w:name w:val="Subtitle"/><w:basedOn w:val="Normal"/><w:next w:val="Normal"/><w:qFormat/>"#,
    r#"<w:pPr><w:spacing w:after="240"/></w:pPr><w:rPr><w:color w:val="595959"/></w:rPr></w:style>"#,
    "</w:styles>",
);

const WORD: (&str, &str) = ("xmlns:w", "http://schemas.openxmlformats.org/wordprocessingml/2006/main");

/// Writes the document: its title and its facts in the styles Title and Subtitle, and its paragraphs, each with the speaker
/// in bold and the time. The bytes are the same for the same document.
pub fn docx(document: &Document) -> Vec<u8> {
    let mut zip = Zip::new(Vec::new());
    for (path, part) in [
        // Readers expect it first.
        ("[Content_Types].xml", CONTENT_TYPES.as_bytes()),
        ("_rels/.rels", PARTS.as_bytes()),
        ("word/document.xml", &body(document)),
        ("word/_rels/document.xml.rels", PARTS_OF_DOCUMENT.as_bytes()),
        ("word/styles.xml", styles(document).as_bytes()),
        ("docProps/core.xml", &properties(document)),
    ] {
        zip.add(path, None, |to| to.write_all(part)).expect("a Vec takes every byte");
    }
    zip.finish().expect("a Vec takes every byte")
}

/// XML that is written into memory.
struct Xml(Writer<Vec<u8>>);

impl Xml {
    fn new() -> Self {
        let mut xml = Self(Writer::new(Vec::new()));
        xml.write(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), Some("yes"))));
        xml
    }

    fn write(&mut self, event: Event<'_>) {
        self.0.write_event(event).expect("a Vec takes every byte");
    }

    fn start<'a>(&mut self, name: &str, attributes: impl IntoIterator<Item = (&'a str, &'a str)>) {
        self.write(Event::Start(BytesStart::new(name).with_attributes(attributes)));
    }

    fn end(&mut self, name: &str) {
        self.write(Event::End(BytesEnd::new(name)));
    }

    fn empty<'a>(&mut self, name: &str, attributes: impl IntoIterator<Item = (&'a str, &'a str)>) {
        self.write(Event::Empty(BytesStart::new(name).with_attributes(attributes)));
    }

    /// An element that holds only text.
    fn text(&mut self, name: &str, attribute: Option<(&str, &str)>, text: &str) {
        self.start(name, attribute);
        self.write(Event::Text(BytesText::from_escaped(escape(text))));
        self.end(name);
    }

    fn finish(self) -> Vec<u8> {
        self.0.into_inner()
    }
}

fn body(Document { title, facts, paragraphs, .. }: &Document) -> Vec<u8> {
    let mut xml = Xml::new();
    xml.start("w:document", [WORD]);
    xml.start("w:body", []);
    for (style, text) in [("Title", title), ("Subtitle", facts)] {
        xml.start("w:p", []);
        xml.start("w:pPr", []);
        xml.empty("w:pStyle", [("w:val", style)]);
        xml.end("w:pPr");
        run(&mut xml, false, &line(text));
        xml.end("w:p");
    }
    for paragraph in paragraphs {
        let Paragraph { speaker, text, .. } = paragraph;
        xml.start("w:p", []);
        if let Some(speaker) = speaker {
            run(&mut xml, true, speaker);
        }
        let clock = paragraph.clock();
        let rest: Vec<&str> = [clock.as_deref(), Some(text.as_str())].into_iter().flatten().collect();
        let space = if speaker.is_some() { " " } else { "" };
        run(&mut xml, false, &format!("{space}{}", rest.join(" ")));
        xml.end("w:p");
    }
    xml.end("w:body");
    xml.end("w:document");
    xml.finish()
}

/// Adds text of one look.
fn run(xml: &mut Xml, is_bold: bool, text: &str) {
    xml.start("w:r", []);
    if is_bold {
        xml.start("w:rPr", []);
        xml.empty("w:b", []);
        xml.empty("w:bCs", []);
        xml.end("w:rPr");
    }
    xml.text("w:t", Some(("xml:space", "preserve")), text);
    xml.end("w:r");
}

/// The styles, and the language that spelling is checked in.
fn styles(Document { language, .. }: &Document) -> String {
    let Some(language) = language.as_deref().map(escape) else { return STYLES.to_owned() };
    let end = "</w:rPr></w:rPrDefault>";
    let lang = format!(r#"<w:lang w:val="{language}" w:eastAsia="{language}" w:bidi="{language}"/>"#);
    STYLES.replacen(end, &(lang + end), 1)
}

/// What file managers and word processors show of the file.
fn properties(Document { title, created, language, .. }: &Document) -> Vec<u8> {
    let mut xml = Xml::new();
    xml.start(
        "cp:coreProperties",
        [
            ("xmlns:cp", "http://schemas.openxmlformats.org/package/2006/metadata/core-properties"),
            ("xmlns:dc", "http://purl.org/dc/elements/1.1/"),
            ("xmlns:dcterms", "http://purl.org/dc/terms/"),
            ("xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance"),
        ],
    );
    xml.text("dc:title", None, &line(title));
    xml.text("dc:creator", None, "callscribe");
    if let Some(language) = language {
        xml.text("dc:language", None, language);
    }
    if let Some(created) = created {
        xml.text("dcterms:created", Some(("xsi:type", "dcterms:W3CDTF")), created);
    }
    xml.end("cp:coreProperties");
    xml.finish()
}
