//! A migration that has been released is never changed: SQLite and PostgreSQL stores have noted its checksum, and the
//! program refuses a store whose migrations are not its own.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

/// The SHA-256 of every migration.
const RELEASED: [(&str, &str); 96] = [
    ("postgres/0001_calls.sql", "330e975a1d03843a77b41baa89cdd37b4a070e708be048d8f869d9aa1e092b25"),
    ("postgres/0002_base_url.sql", "b6c39e4a64204dfbd5ed4a4bf0537e83645c9e351b13fcf1fe582df72c581066"),
    ("postgres/0003_dialling.sql", "de5fde81f394a25b5698f5d517935aadd433306b18f6ea805e8a09d219a08a79"),
    ("postgres/0004_search.sql", "df49d2602c8a34b5d5929ca39cf427379643fbf8f01f93bd103c0ed5af35e7c0"),
    ("postgres/0005_deletion.sql", "a3b73be703239bf574c11609f25bcc989f9a6a38b605579baa9f6ca368d9c8ba"),
    ("postgres/0006_facts.sql", "d754cbfee4ac8028e0eb701b040dfafb3b18f81005048c1da0f3176b194b5d84"),
    ("postgres/0007_fewer_pages.sql", "2900073b19e682f427b5477b561e12148ab9882d28c9a92f9b9ca33642712a4b"),
    ("postgres/0008_newest_first.sql", "d0b79cb8fcd8e6e1069f95dfa7e4fb30191f71726d6beaf40a4f843276636af9"),
    ("postgres/0009_redated_calls.sql", "b258fd41bb56e1f381a4dc479757de1c310ca2ae2097adb0eb6be58a4022bca6"),
    ("postgres/0010_ended_sessions.sql", "8cdd32073e7edd536a73d7f857cf77cdcb204a6d7750f505e440bb8b9440c9ac"),
    ("postgres/0011_readiness.sql", "15e72bc68433838ab3a241e41f86ef44a45b60a102c94155ced0d0f370f7ee94"),
    ("postgres/0012_unasked_transcripts.sql", "8fdfbf15179f0c4d9bd18c17752463c1110640e2839ebfa6ed21683162120348"),
    ("postgres/0013_losses.sql", "39216ef7b7bbc51752a13eb6d04d540008455319c993673b91a45cdbe6eaa953"),
    ("postgres/0014_empty_transcripts.sql", "bf9222a89276bb93ff25537d2e1b14191fd820244132a667611ea24ebbffb3d4"),
    ("postgres/0015_models.sql", "1995f61c7d1ec5dedba2c3a49a2a3e4ed73e300badb39bd47b27b0c10156face"),
    ("postgres/0016_speakers.sql", "1640cffadbc109e7645e5bd0f35ec55fe064bf35832a84826a33d27e743af124"),
    ("postgres/0017_unreported_calls.sql", "546641b9cfad3c285867488459686537f2731f0b268c1ca3d8ed8c4307c0b4d6"),
    ("postgres/0018_deleted_stubs.sql", "7ab968bfcbcf3d66c637f285f95835d25b06bf147cf427425f6bf7d70dd681a4"),
    ("postgres/0019_folding.sql", "1489e12ee4302411c5b7e8875dafa6e5375d61458480b980c951c9fd43e74c48"),
    ("postgres/0020_legs.sql", "e65775ac043aa1587c52b1003e5ccf6294af8436d207a4da3a2f5fd0699997dc"),
    ("postgres/0021_contacts.sql", "50f478cb9dc3e0fa1073c5778c2aac035296079ca4c50b22f2249c12610e30f7"),
    ("postgres/0022_legs_in_use.sql", "0e757d32a7ac822f109fe454ad785155130b211ae0ca9b2ca6a550719f357c1e"),
    ("postgres/0023_tags.sql", "74d033cd7add4419a70d52894b08308c32141ed605ee904c4ba5359c33fae688"),
    ("postgres/0024_speakers_found.sql", "36ad6156cdd5e5732b4ee8fad01acf6b7f232dfbb51da2c66e0c4bb46e61629a"),
    ("postgres/0025_corrections.sql", "ce221d245a70f01b18a975e30b00029f7a674e64f6dafd6f47dfb0b9c629955f"),
    ("postgres/0026_replacements.sql", "eca31cb0b3389aa24513b63a51d8a426545f10beac1fcccabfafd75407caa42f"),
    ("postgres/0027_checks.sql", "f5587cd6ae530a59ed64035fbc43f33553c3266fc7b9bb981cc63710aa750e96"),
    ("postgres/0028_current_transcripts.sql", "3a403a5f6b8568e2502ddaa031c43fb77dcfa1726c45f9a716187712ca589e7c"),
    ("postgres/0029_undone_replacements.sql", "b2a7d938800fbf6693657f64f0ef079e68193e77ba373c361abe376381cdad59"),
    ("postgres/0030_vocabulary.sql", "73c9224a89c3ea83577fa1f98ba816c27e1a84c783b6d56e4a32322558883342"),
    ("postgres/0031_measures.sql", "e8a04d4c82dea0f2ab8588b030bee2fc186eac88c97fea3cddeadf1c0cf3e51a"),
    ("postgres/0032_blind_checks.sql", "8f5fa3f3964bed6e22829a4f7bdafbf24fff5387e68bb6ed2128f549e257eb89"),
    ("postgres/0033_accepted_words.sql", "8b1b0a748a96e7983146a2af68a192ddea5ad4a62036fe221b53bdb50a22d957"),
    ("postgres/0034_trials.sql", "42114b4fb44389d9c09a882d1a3ff8ee6b0ca606a8ec95895adf725c18a59d08"),
    ("postgres/0035_spellings.sql", "e2b72eaaded0fe96a1e4d9e320f707a8a85764a7e5313e935b822c4b8ab3a130"),
    ("postgres/0036_terms_of_orders.sql", "17b5d26e49e48223f4dd0feb265738a10ed9cd8b5ba4123bc18f006521f02438"),
    ("postgres/0037_uploads.sql", "95a5d0edc8672f354a1c3f9b0bf1d11f60a5b0ed5c43dee6c03888cac9cb251e"),
    ("postgres/0038_imports.sql", "a7277d20da74f6b4377399d7d892d67e3a8501d3f41275087cbb1264964206ce"),
    ("postgres/0039_imported_calls.sql", "cc7edb05e52e3859cf5264aa64e4102327e82f54d419c453b8067a47b8ad4506"),
    ("postgres/0040_costs.sql", "b2e16cd9c15142280135a178b8513a748052f38e37b20de9bcf206a67e4ebcd8"),
    ("postgres/0041_summaries.sql", "e21e93536fea5dd73afe100a17d7afce937a69135014c3aed61cb8dfbf0dd727"),
    ("postgres/0042_prices.sql", "e85d9f7137c327b19b09bee14743e07091f10abe80a8b61d6526f9784e77b797"),
    ("postgres/0043_sums_of_costs.sql", "f9bb09c0b0fafa68631e156800acef89ce4c0fd3f590870a57e03e98590234d5"),
    ("postgres/0044_calls_by_cost.sql", "a6166f3f6506f9e87c821f5b779c0a38a07db2b0147f93ae44453b96265d13f7"),
    ("postgres/0045_webhooks.sql", "fad8dd28a7d46b20b41808a4ed54058e2b5ee3b41d3717050f518844df5134e9"),
    ("postgres/0046_archive.sql", "073b4a6521cf1003ff4f2bd18580ae2bf99eb8e56e76fc413ac4038491e9342e"),
    ("postgres/0047_tokens.sql", "95ab3ff0c314e5f41cde26f946d3fa3ccdfd4ae54d2c38d60a6382f7d8314144"),
    ("postgres/0048_idempotency_keys.sql", "d29b13d226b5b1d983b60e2928e9692887cfde330d9b9142884e681b56a9075e"),
    ("sqlite/0001_calls.sql", "0beade2c03381404b0bf5432e7c88ace9560639a3b60498865960c1f851fa251"),
    ("sqlite/0002_base_url.sql", "b6c39e4a64204dfbd5ed4a4bf0537e83645c9e351b13fcf1fe582df72c581066"),
    ("sqlite/0003_dialling.sql", "01e95bcafabf9050c51efd89516ec654ef5f609002e6c8716047f0b725749c89"),
    ("sqlite/0004_search.sql", "4f2e27c247bc36d32ac2153e6615b31652ade1c549ef4c34768d3d23bb6e8711"),
    ("sqlite/0005_deletion.sql", "12fb03e06c46af2f25c31073abfd7737247357435c026044ad5d6fdf0218c4a3"),
    ("sqlite/0006_facts.sql", "40ae4f43e6e3855f5309c3f87425cb88a2ba7160b8d7a156bc50681d6ca4aabd"),
    ("sqlite/0007_fewer_pages.sql", "01fdf19281d72efa805e81ed7c613868fd26c833bd48c8ed22443c4791fcf696"),
    ("sqlite/0008_newest_first.sql", "673232c1a3990bf4cbc7acc1573f2ced5b848affb0b83d25e50b69d3d535af71"),
    ("sqlite/0009_redated_calls.sql", "b258fd41bb56e1f381a4dc479757de1c310ca2ae2097adb0eb6be58a4022bca6"),
    ("sqlite/0010_ended_sessions.sql", "1f583881a72e6d3196008d09aa27c2777d5125ff1e798998cfa6fe5200759448"),
    ("sqlite/0011_readiness.sql", "6dfabc10fbc205f68714b5bbeda9368d5aa760b91d335a491ff9989a664e4ebb"),
    ("sqlite/0012_unasked_transcripts.sql", "3835a9d9a1835e4fad1ac73655ca9413df09977f43bed83b7d92d742466ab9fa"),
    ("sqlite/0013_losses.sql", "7b8b00628a167e67020db1ccc2b9cb20f9a9c1a620da6fe885051dd91ec9801e"),
    ("sqlite/0014_empty_transcripts.sql", "bf9222a89276bb93ff25537d2e1b14191fd820244132a667611ea24ebbffb3d4"),
    ("sqlite/0015_models.sql", "23c6a804f61b398954da13e79264234f7288a306aeabdb65e44e5b20bc06a213"),
    ("sqlite/0016_speakers.sql", "5f8ca3bed6f3deade7612507925f1068ba946aa25aaf0b3f7024f9eb968c46b7"),
    ("sqlite/0017_unreported_calls.sql", "0ce9cd451ef7197f7371e3ae2e6685a3fab0f71b19cf0ba5412a6b4cfabb0e02"),
    ("sqlite/0018_deleted_stubs.sql", "171a6d63a6dd12b304fcb0dc8604b652e5aaa6112476cc096b828a300abcf598"),
    ("sqlite/0019_folding.sql", "7195ede8208bdd2ca91ec7c01e0fafb3e9b5e4eb475edf20bbe1b5785461a74b"),
    ("sqlite/0020_legs.sql", "0a12b2c414ed40a7ac268e25c273eab36ba3149e46d04cb54b4f8d9b33f4b46c"),
    ("sqlite/0021_contacts.sql", "9524e6c5dd30e1304491963e26859c9f6d9708405a5cc5468617878fb61ac18a"),
    ("sqlite/0022_legs_in_use.sql", "0e757d32a7ac822f109fe454ad785155130b211ae0ca9b2ca6a550719f357c1e"),
    ("sqlite/0023_tags.sql", "74d033cd7add4419a70d52894b08308c32141ed605ee904c4ba5359c33fae688"),
    ("sqlite/0024_speakers_found.sql", "75850f8ab479e8137d9c3e092d76b30b583666347c95b4103a3f1e677c4345c8"),
    ("sqlite/0025_corrections.sql", "03f45e5fd69ef3105e919d60382cbb177e0dae57f8a74ebfa947912fe256643a"),
    ("sqlite/0026_replacements.sql", "c77e1487cfb584ce18494f9773a4f53909a5463b45fb17b6a49783c9af8d6410"),
    ("sqlite/0027_checks.sql", "14d25fdf1315cf49b8377fae00530cc406d3136d45a43e8a95b6306897dee259"),
    ("sqlite/0028_current_transcripts.sql", "cb37115bb6e833a703d899e2f1b80785b681078e756cdce7ecc0633ea6a70b1c"),
    ("sqlite/0029_undone_replacements.sql", "b2a7d938800fbf6693657f64f0ef079e68193e77ba373c361abe376381cdad59"),
    ("sqlite/0030_vocabulary.sql", "18bdc5f996689893409fda17711ef985527e81fecf48ce93a1d424d338ee8dfc"),
    ("sqlite/0031_measures.sql", "a27eba3caa3be414beb64f32d48bfefdf473ca10835e26e07721537bdba00bfa"),
    ("sqlite/0032_blind_checks.sql", "dd8c648bcfb6e83339392eff6a351b91db8e30e3e44c4fe136a68c795378039d"),
    ("sqlite/0033_accepted_words.sql", "d4f1d2b4d795d704913718f4f5a059356347c19cdfdd1ca582ae1b01ecfdc35c"),
    ("sqlite/0034_trials.sql", "38f9c1383ae6cad233134c7e5788ef9bb133cf4fd6896ff6909917abb099bcd8"),
    ("sqlite/0035_spellings.sql", "e2b72eaaded0fe96a1e4d9e320f707a8a85764a7e5313e935b822c4b8ab3a130"),
    ("sqlite/0036_terms_of_orders.sql", "1abd83c6ba57585e2892090c00f53469613f6e2132bcac59127d4df1ee723a1a"),
    ("sqlite/0037_uploads.sql", "95a5d0edc8672f354a1c3f9b0bf1d11f60a5b0ed5c43dee6c03888cac9cb251e"),
    ("sqlite/0038_imports.sql", "ed401b4240f4d6e1bace787d90598276105bff5c05efddfd7cbc6f3893ab220d"),
    ("sqlite/0039_imported_calls.sql", "5a39ed9c4e2c112db75350f80893685b4ead01582e604490f62d3403f32fc54d"),
    ("sqlite/0040_costs.sql", "1ccdc3041522735bfe3c4343470ac5a2e5c8a0367154b67d2bb8f37278587011"),
    ("sqlite/0041_summaries.sql", "2c316043481a2b26a4f13e58545663ea5508b2201487cc3b905ae4d7e12af6e3"),
    ("sqlite/0042_prices.sql", "299b239bc98a2e2fed9be957aeaead22f0648e5c952ba685e39d0963cab56413"),
    ("sqlite/0043_sums_of_costs.sql", "f9bb09c0b0fafa68631e156800acef89ce4c0fd3f590870a57e03e98590234d5"),
    ("sqlite/0044_calls_by_cost.sql", "b02d9e47c5e0fd5679b4a03fc26e08aba4f88085ce20e28ecb8184d36673e33c"),
    ("sqlite/0045_webhooks.sql", "cb9cc484fd148c68025824b80087301a4f6bb785b4b88c72b9b4638752a1164d"),
    ("sqlite/0046_archive.sql", "4f96e775c942d53a845a55d1b15bc47cd1a0567b6349914b131c083ac7fa4d01"),
    ("sqlite/0047_tokens.sql", "d9d249cee68e54fafa995f57a5b8fb2e5e7dbc169effac0f5b724b6324b653f8"),
    ("sqlite/0048_idempotency_keys.sql", "0ec7ce0bce09d2e88614c2551a709516be150f599f69617cd26fdd0904e7d465"),
];

/// What is wrong with the migrations in this folder.
fn faults(files: &BTreeMap<String, String>) -> Vec<String> {
    let mut faults = Vec::new();
    for (file, text) in files {
        let checksum: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
        match RELEASED.iter().find(|(released, _)| released == file) {
            None => faults.push(format!("{file} is new; add: (\"{file}\", \"{checksum}\"),")),
            Some((_, expected)) if *expected != checksum => {
                faults.push(format!("{file} was changed after its release; restore it, and add a migration instead"));
            }
            Some(_) => {}
        }
    }
    let removed = RELEASED.iter().filter(|(file, _)| !files.contains_key(*file));
    faults.extend(removed.map(|(file, _)| format!("{file} was released and is gone; restore it")));
    faults
}

#[test]
fn released_migrations_are_never_changed() {
    let faults = faults(&super::files("src/store/migrations"));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_migration_that_is_new_changed_or_gone_is_noticed() {
    let mut files = super::files("src/store/migrations");
    files.insert("sqlite/0099_new.sql".to_owned(), "SELECT 1;\n".to_owned());
    files.get_mut("sqlite/0001_calls.sql").expect("the first migration").push('\n');
    files.remove("postgres/0001_calls.sql");
    let faults = faults(&files);
    assert_eq!(faults.len(), 3, "{faults:#?}");
    assert!(faults[0].contains("was changed") && faults[1].contains("is new; add: (\"sqlite/0099"), "{faults:#?}");
    assert!(faults[2].contains("postgres/0001_calls.sql was released and is gone"), "{faults:#?}");
}
