use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use plan::source::BoxFuture;

use super::*;

/// Answers with what the test says at the time.
struct Names(Mutex<Vec<SocketAddr>>, AtomicUsize);

impl Names {
    fn new(ports: &[u16]) -> Arc<Self> {
        let names = Self(Mutex::default(), AtomicUsize::new(0));
        names.say(ports);
        Arc::new(names)
    }

    fn say(&self, ports: &[u16]) {
        *self.0.lock().unwrap() = ports.iter().map(|port| at(*port)).collect();
    }

    fn asked(&self) -> usize {
        self.1.load(Ordering::SeqCst)
    }
}

impl Resolve for Names {
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        let addresses = self.0.lock().unwrap().clone();
        Box::pin(async move { Ok(addresses) })
    }
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

const USUAL: PeerSettings = PeerSettings {
    lookup: Duration::from_secs(2),
    eject_after: 5,
    max_age: None,
};

/// Addresses whose transport is a number of its own.
fn peers_with(url: &str, names: &Arc<Names>, settings: PeerSettings) -> Arc<Peers<usize>> {
    let made = AtomicUsize::new(0);
    let make = move |_: &Host, _| Ok(made.fetch_add(1, Ordering::SeqCst));
    Peers::new(Address::parse(url).unwrap(), settings, names.clone(), make)
}

fn peers(names: &Arc<Names>) -> Arc<Peers<usize>> {
    peers_with("http://service:50051", names, USUAL)
}

async fn pick(peers: &Arc<Peers<usize>>) -> Picked<usize> {
    peers.pick(calls::now(), &[]).await.unwrap()
}

async fn port(peers: &Arc<Peers<usize>>) -> u16 {
    pick(peers).await.address().port()
}

/// How often each port is picked while nothing is in flight.
async fn shares(peers: &Arc<Peers<usize>>) -> BTreeMap<u16, usize> {
    let mut shares = BTreeMap::new();
    for _ in 0..400 {
        *shares.entry(port(peers).await).or_default() += 1;
    }
    shares
}

/// Lets a lookup in the background come to its end.
async fn settle(peers: &Peers<usize>) {
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
    drop(peers.lookup.lock().await);
}

/// Fails calls to a port until it is passed over.
async fn fail(peers: &Arc<Peers<usize>>, port: u16, times: usize) {
    for _ in 0..times {
        let others: Vec<_> = (1..9).filter(|it| *it != port).map(at).collect();
        let picked = peers.pick(calls::now(), &others).await.unwrap();
        assert_eq!(picked.address().port(), port);
        peers.failed(&picked, calls::now());
    }
}

#[tokio::test]
async fn addresses_share_the_calls_and_nothing_is_looked_up_before_the_first() {
    let names = Names::new(&[1, 2, 3]);
    let peers = peers(&names);
    assert_eq!(names.asked(), 0);
    let shares = shares(&peers).await;
    assert_eq!(shares.len(), 3);
    assert!(shares.values().all(|share| *share > 60), "{shares:?}");
    assert_eq!(names.asked(), 1);
}

#[tokio::test]
async fn of_two_the_one_with_fewer_calls_in_flight_is_picked() {
    let names = Names::new(&[1, 2]);
    let peers = peers(&names);
    let busy = pick(&peers).await;
    for _ in 0..50 {
        assert_ne!(port(&peers).await, busy.address().port());
    }
    let first = busy.address().port();
    drop(busy);
    assert!(shares(&peers).await.contains_key(&first));
}

#[tokio::test]
async fn an_address_is_not_looked_up() {
    let names = Names::new(&[]);
    let peers = peers_with("http://127.0.0.1:7,http://[::1]:8", &names, USUAL);
    let shares = shares(&peers).await;
    assert_eq!(shares.into_keys().collect::<Vec<_>>(), [7, 8]);
    assert_eq!(names.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn names_are_looked_up_again_after_a_while_and_what_is_open_stays() {
    let names = Names::new(&[2]);
    let peers = peers(&names);
    let before = *pick(&peers).await.transport();
    names.say(&[2, 3]);
    tokio::time::advance(LOOKUP_AGE).await;
    port(&peers).await;
    settle(&peers).await;
    assert_eq!(shares(&peers).await.into_keys().collect::<Vec<_>>(), [2, 3]);
    let kept = peers.pick(calls::now(), &[at(3)]).await.unwrap();
    assert_eq!(*kept.transport(), before);
    assert_eq!(names.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn where_names_cannot_be_looked_up_any_more_the_known_addresses_stay() {
    let names = Names::new(&[2]);
    let peers = peers(&names);
    assert_eq!(port(&peers).await, 2);
    names.say(&[]);
    tokio::time::advance(LOOKUP_AGE).await;
    port(&peers).await;
    settle(&peers).await;
    assert_eq!(names.asked(), 2);
    assert_eq!(port(&peers).await, 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_old_is_made_anew() {
    let names = Names::new(&[2]);
    let settings = PeerSettings {
        max_age: Some(2 * LOOKUP_AGE),
        ..USUAL
    };
    let peers = peers_with("http://service", &names, settings);
    let mut transports = Vec::new();
    for _ in 0..5 {
        transports.push(*pick(&peers).await.transport());
        tokio::time::advance(LOOKUP_AGE).await;
        port(&peers).await;
        settle(&peers).await;
    }
    assert_eq!(transports, [0, 0, 1, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_failure_to_connect_passes_the_address_over_and_looks_names_up() {
    let names = Names::new(&[1, 2]);
    let peers = peers(&names);
    let picked = pick(&peers).await;
    tokio::time::advance(LOOKUP_PAUSE).await;
    for _ in 0..3 {
        peers.unreachable(&picked, calls::now());
        settle(&peers).await;
    }
    assert_eq!(names.asked(), 2, "once, however many calls fail");
    let gone = picked.address().port();
    drop(picked);
    assert!(!shares(&peers).await.contains_key(&gone));
    assert_eq!(peers.count(calls::now()), (2, 1));
    tokio::time::advance(health::PASS_OVER).await;
    assert!(
        shares(&peers).await.contains_key(&gone),
        "it is tried again"
    );
}

#[tokio::test(start_paused = true)]
async fn five_failures_in_a_row_eject_an_address_and_longer_each_time() {
    let names = Names::new(&[1, 2]);
    let peers = peers(&names);
    port(&peers).await;
    fail(&peers, 1, 4).await;
    assert_eq!(peers.count(calls::now()).1, 0);
    fail(&peers, 1, 1).await;
    assert_eq!(shares(&peers).await.into_keys().collect::<Vec<_>>(), [2]);
    tokio::time::advance(health::PASS_OVER).await;
    assert_eq!(peers.count(calls::now()).1, 0);
    fail(&peers, 1, 1).await;
    tokio::time::advance(health::PASS_OVER).await;
    assert_eq!(peers.count(calls::now()).1, 1, "twice as long");
    tokio::time::advance(health::PASS_OVER).await;
    assert_eq!(peers.count(calls::now()).1, 0);
}

#[tokio::test(start_paused = true)]
async fn how_a_call_ends_that_began_before_an_address_was_ejected_says_nothing_of_it() {
    let names = Names::new(&[1, 2]);
    let peers = peers(&names);
    port(&peers).await;
    let old = async || peers.pick(calls::now(), &[at(2)]).await.unwrap();
    let (well, failed) = (old().await, old().await);
    fail(&peers, 1, 5).await;
    peers.well(&well);
    assert_eq!(peers.count(calls::now()).1, 1, "it is not brought back");
    tokio::time::advance(health::PASS_OVER).await;
    peers.failed(&failed, calls::now());
    assert_eq!(peers.count(calls::now()).1, 0, "nor ejected anew");
    fail(&peers, 1, 1).await;
    assert_eq!(peers.count(calls::now()).1, 1, "one more failure is enough");
}

#[tokio::test]
async fn an_answer_ends_the_row() {
    let names = Names::new(&[1, 2]);
    let peers = peers(&names);
    port(&peers).await;
    fail(&peers, 1, 4).await;
    peers.well(&peers.pick(calls::now(), &[at(2)]).await.unwrap());
    fail(&peers, 1, 4).await;
    assert_eq!(peers.count(calls::now()).1, 0);
}

#[tokio::test]
async fn never_more_than_half_are_ejected() {
    for (ports, most) in [(1, 0), (2, 1), (3, 1), (5, 2)] {
        let all: Vec<u16> = (1..=ports).collect();
        let names = Names::new(&all);
        let peers = peers(&names);
        port(&peers).await;
        for port in all {
            let others: Vec<_> = (1..9).filter(|it| *it != port).map(at).collect();
            for _ in 0..10 {
                let picked = peers.pick(calls::now(), &others).await.unwrap();
                peers.failed(&picked, calls::now());
            }
        }
        assert_eq!(peers.count(calls::now()), (usize::from(ports), most));
    }
}

#[tokio::test]
async fn those_to_avoid_are_picked_where_there_is_no_other() {
    let names = Names::new(&[1, 2]);
    let peers = peers(&names);
    for _ in 0..20 {
        let picked = peers.pick(calls::now(), &[at(1)]).await.unwrap();
        assert_eq!(picked.address().port(), 2);
    }
    assert!(peers.has_other(&[at(1)]));
    assert!(!peers.has_other(&[at(1), at(2)]));
    assert!(peers.pick(calls::now(), &[at(1), at(2)]).await.is_ok());
}

#[tokio::test]
async fn of_those_to_avoid_one_that_could_be_connected_to_is_picked() {
    let names = Names::new(&[1, 2]);
    let peers = peers(&names);
    let gone = peers.pick(calls::now(), &[at(2)]).await.unwrap();
    peers.unreachable(&gone, calls::now());
    drop(gone);
    for _ in 0..20 {
        let picked = peers.pick(calls::now(), &[at(1), at(2)]).await.unwrap();
        assert_eq!(picked.address().port(), 2);
    }
}

/// Keeps everybody waiting, then knows no address.
#[derive(Default)]
struct Held(tokio::sync::Notify, AtomicUsize);

impl Resolve for Held {
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            self.0.notified().await;
            Err(io::Error::other("no such name"))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn all_who_wait_for_a_first_lookup_share_its_failure() {
    let held = Arc::new(Held::default());
    let address = Address::parse("http://service").unwrap();
    let peers = Peers::new(address, USUAL, held.clone(), |_: &Host, _| Ok(0_usize));
    let pick = || peers.pick(calls::now(), &[]);
    let (one, two, three, ()) = tokio::join!(pick(), pick(), pick(), async {
        held.0.notify_one();
    });
    for failed in [one, two, three] {
        assert_eq!(failed.err().unwrap().to_string(), "no such name");
    }
    assert_eq!(held.1.load(Ordering::SeqCst), 1);
    held.0.notify_one();
    assert!(pick().await.is_err());
    assert_eq!(
        held.1.load(Ordering::SeqCst),
        2,
        "who comes later asks anew"
    );
}

#[tokio::test]
async fn a_name_without_an_address_fails_the_call_and_is_asked_for_again() {
    let names = Names::new(&[]);
    let peers = peers(&names);
    assert!(peers.pick(calls::now(), &[]).await.is_err());
    names.say(&[4]);
    assert_eq!(port(&peers).await, 4);
}
