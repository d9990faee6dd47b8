//! The sandbox in the vendors' place.

use std::net::{Ipv4Addr, SocketAddr};

use secrecy::ExposeSecret;

use super::listen::unavailable;
use crate::clients::twilio::Credentials;
use crate::config::{Accounts, AssemblyAiConfig, Problem, TwilioConfig};
use crate::model::phone::PhoneNumber;
use crate::sandbox::pace::Pace;
use crate::sandbox::{assemblyai, twilio};
use crate::urls::Urls;

/// Starts both emulators and returns the settings that point to them.
pub(super) async fn start(
    twilio_addr: SocketAddr,
    assemblyai_addr: SocketAddr,
    bound: &[SocketAddr],
) -> Result<Accounts, Problem> {
    let listen = async |name: &str, address: SocketAddr| {
        tokio::net::TcpListener::bind(address).await.map_err(|error| unavailable(name, address, &error))
    };
    let twilio = twilio::Twilio::start(listen("SANDBOX_TWILIO_ADDR", twilio_addr).await?, Pace::live());
    let assemblyai = listen("SANDBOX_ASSEMBLYAI_ADDR", assemblyai_addr).await?;
    let assemblyai = assemblyai::AssemblyAi::start(assemblyai, Pace::live());

    let mut own = bound.first().copied().unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    if own.ip().is_unspecified() {
        own.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    let wrong = |_| Problem::new("BIND_ADDR", "is not an address that the sandbox can call back");
    let urls = Urls::parse(&format!("http://{own}")).map_err(wrong)?;
    twilio.set_voice_url(&urls.record(None));
    Ok(Accounts {
        urls,
        twilio: TwilioConfig {
            account_sid: twilio::ACCOUNT_SID.to_owned(),
            auth_tokens: vec![twilio::AUTH_TOKEN.into()],
            shared_keys: Default::default(),
            recording_keys: Default::default(),
            credentials: Credentials { user: twilio::ACCOUNT_SID.to_owned(), password: twilio::AUTH_TOKEN.into() },
            phone_number: twilio::PHONE_NUMBER.parse().expect("the sandbox's number is a number"),
            api_url: twilio.url().parse().expect("the sandbox's address is a URL"),
        },
        assemblyai: AssemblyAiConfig {
            key: assemblyai::API_KEY.into(),
            api_url: assemblyai.url().parse().expect("the sandbox's address is a URL"),
        },
    })
}

/// Returns the operator's phones, for settings that name none.
pub(super) fn operator_phones() -> Vec<PhoneNumber> {
    twilio::OPERATOR_PHONES.map(|phone| phone.parse().expect("the operator's phones are numbers")).into()
}

/// Returns what to type into the vendors' clients, for the terminal.
pub(super) fn describe(Accounts { twilio, assemblyai, urls }: &Accounts) -> String {
    let numbers = crate::sandbox::twilio::PHONE_BOOK.iter().map(|entry| format!("  {}  {}\n", entry.number, entry.who));
    format!(
        "callscribe sandbox: no phone rings, and nothing is billed; these credentials work nowhere else\n\n\
         Twilio      {}\n  account   {}\n  token     {}\n  number    {}\n\
         AssemblyAI  {}\n  key       {}\n\n\
         phone book  {}  a page, which starts calls to your number, too\n{}\n\
         try it:     curl {}/dial/14155551234\n\n",
        twilio.api_url.as_str().trim_end_matches('/'),
        twilio.account_sid,
        twilio.credentials.password.expose_secret(),
        twilio.phone_number,
        assemblyai.api_url.as_str().trim_end_matches('/'),
        assemblyai.key.expose_secret(),
        twilio.api_url,
        numbers.collect::<String>(),
        urls.authority().replace("127.0.0.1", "localhost"),
    )
}
