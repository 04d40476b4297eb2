//! The least that a server can do: this program again, answering the same bytes to everything.

use std::{
    net::{SocketAddr, TcpStream},
    process::{Child as Process, Command},
    thread,
    time::Duration,
};

use actix_web::{App, HttpResponse, HttpServer, web};

/// Serves a JSON string of this size until it is killed.
pub fn serve(address: SocketAddr, size: usize) {
    let body = web::Bytes::from(format!("\"{}\"", "x".repeat(size.saturating_sub(2))));
    let app = move || {
        let body = body.clone();
        App::new().default_service(web::to(move || {
            let body = body.clone();
            async move { HttpResponse::Ok().content_type("application/json").body(body) }
        }))
    };
    actix_web::rt::System::new().block_on(HttpServer::new(app).bind(address).unwrap().run()).unwrap();
}

/// Such a server in a process of its own.
pub struct Child {
    process: Process,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Child {
    /// Starts it and waits until it listens.
    pub fn start(size: usize) -> Self {
        let address = crate::support::process::free_address();
        let mut command = Command::new(std::env::current_exe().unwrap());
        let process = command.args(["--constant", &address.to_string(), &size.to_string()]).spawn().unwrap();
        let child = Self { process, address };
        while TcpStream::connect(address).is_err() {
            thread::sleep(Duration::from_millis(10));
        }
        child
    }

    /// The id of the process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
