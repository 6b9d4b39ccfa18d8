//! Answers to requests that need no waiting: tables and changes.

use super::proto::{Change, Code, Failure, Hello, LinkAddr, Op, RouteSpec, Variable};
use crate::config::RouteConfig;
use crate::kernel::Kernel;
use netstack::net::IfIndex;
use netstack::net::ifnet::IfError;
use netstack::tcp::sysctl::{self, SysctlError};
use serde_json::{Value, json};
use std::rc::Rc;

/// Does what is asked, or says why not.
pub fn answer(kernel: &Rc<Kernel>, op: Op) -> Result<Value, Failure> {
    match op {
        Op::Hello => Ok(hello(kernel)),
        Op::Show { table } => Ok(Value::Array(super::show::rows(kernel, table))),
        Op::Link { interface, up } => {
            let ifindex = find(kernel, &interface)?;
            kernel.if_set_up(ifindex, up).map(|()| Value::Null)
        }
        Op::Impair { interface, set } => {
            let ifindex = find(kernel, &interface)?;
            if let Some(fault) = set.as_ref().and_then(|set| set.fault()) {
                return Err(Failure::new(Code::Invalid, fault));
            }
            let before = kernel.if_impairment(ifindex);
            if set.is_some() && !kernel.if_impair(ifindex, set.map(|set| *set)) {
                return Err(Failure::new(Code::Invalid, format!("`{interface}` has no wire")));
            }
            Ok(json!(before))
        }
        Op::Partition { interface, from } => {
            let ifindex = find(kernel, &interface)?;
            match kernel.if_part(ifindex, from.into_iter().map(|LinkAddr(mac)| mac).collect()) {
                true => Ok(Value::Null),
                false => Err(Failure::new(Code::Invalid, format!("`{interface}` has no wire"))),
            }
        }
        Op::Addr { interface, change } => {
            let ifindex = find(kernel, &interface)?;
            let now = kernel.clock();
            let mut stack = kernel.stack.borrow_mut();
            let changed = match change {
                Change::Add(address) => stack.addr_add(now, ifindex, address),
                Change::Del(address) => stack.addr_del(now, ifindex, address),
            };
            let code = |error: &IfError| match error {
                IfError::AddrExists(_) => Code::Exists,
                IfError::NoAddr(_) => Code::NotFound,
                _ => Code::Invalid,
            };
            changed.map(|()| Value::Null).map_err(|error| Failure::new(code(&error), error.to_string()))
        }
        Op::Route(change) => {
            let (spec, add) = match change {
                Change::Add(spec) => (spec, true),
                Change::Del(spec) => (spec, false),
            };
            let RouteSpec { to, via, dev, metric } = spec;
            let any = || {
                let stack = kernel.stack.borrow();
                let first = stack.routes().find(|r| r.to == to && (via.is_none() || r.via == via));
                first.map(|route| route.metric)
            };
            let metric = metric.or_else(|| if add { None } else { any() }).unwrap_or(0);
            let config = RouteConfig { to, via, dev, metric, proto: "static".to_owned() };
            kernel.route_change(&config, add).map(|()| Value::Null)
        }
        Op::Sysctl { name: None, value: None } => Ok(json!(variables(kernel))),
        Op::Sysctl { name: None, value: Some(_) } => Err(Failure::new(Code::Invalid, "a value needs a name")),
        Op::Sysctl { name: Some(name), value } => {
            if let Some(value) = value {
                set_variable(kernel, &name, &value)?;
            }
            variable(kernel, &name).map(|variable| json!(variable))
        }
        Op::Stop => {
            kernel.stop();
            Ok(Value::Null)
        }
        Op::Run { .. } | Op::Interrupt { .. } => {
            Err(Failure::new(Code::Invalid, "programs are the connection's"))
        }
    }
}

fn hello(kernel: &Kernel) -> Value {
    let hello = Hello {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        lab: kernel.lab().to_owned(),
        node: kernel.node().to_owned(),
        pid: std::process::id(),
        uptime_ns: u64::try_from(kernel.uptime().as_nanos()).unwrap_or(u64::MAX),
        state: if kernel.is_stopping() { "stopping" } else { "running" }.to_owned(),
        sockets: kernel.stack.borrow().sockets().count(),
    };
    json!(hello)
}

fn variables(kernel: &Kernel) -> Vec<Variable> {
    sysctl::names().filter_map(|name| variable(kernel, name).ok()).collect()
}

fn variable(kernel: &Kernel, name: &str) -> Result<Variable, Failure> {
    let value = sysctl::get(kernel.stack.borrow().tcp_config(), name);
    let value = value.ok_or_else(|| sysctl_failure(SysctlError::Unknown(name.to_owned())))?;
    Ok(Variable { name: name.to_owned(), value })
}

fn set_variable(kernel: &Kernel, name: &str, value: &str) -> Result<(), Failure> {
    let mut stack = kernel.stack.borrow_mut();
    let mut config = stack.tcp_config().clone();
    sysctl::set(&mut config, name, value).map_err(sysctl_failure)?;
    stack.set_tcp_config(config);
    Ok(())
}

fn sysctl_failure(error: SysctlError) -> Failure {
    let code = match error {
        SysctlError::Unknown(_) => Code::NotFound,
        SysctlError::ReadOnly(_) | SysctlError::Invalid { .. } => Code::Invalid,
    };
    Failure::new(code, error.to_string())
}

fn find(kernel: &Kernel, name: &str) -> Result<IfIndex, Failure> {
    let found = kernel.stack.borrow().if_by_name(name);
    found.ok_or_else(|| Failure::new(Code::NotFound, format!("there is no interface `{name}`")))
}
