//! Who a tool is to a STOMP server: options that more than one command has.
//!
//! Does not know: what is asked of the server.

use std::env;
use std::ffi::OsString;
use std::fmt;

use clap::Args;

/// The variable for the passcode. Those that begin with TOWPATH_ are the gateway's settings, and it would refuse this one.
const PASSCODE: &str = "STOMP_PASSCODE";

/// The login of CONNECT and its passcode.
#[derive(Args)]
pub struct Credentials {
    /// The login of CONNECT.
    #[arg(long, value_name = "NAME")]
    pub login: Option<String>,
    /// The passcode of CONNECT; other users of this machine can see it here, so better set STOMP_PASSCODE.
    #[arg(long, value_name = "TEXT", requires = "login")]
    passcode: Option<String>,
}

impl Credentials {
    /// The passcode, from the variable unless the option has it. Without a login there is none.
    ///
    /// # Errors
    ///
    /// The variable is not UTF-8.
    pub fn passcode(&self) -> Result<Option<String>, String> {
        self.given(env::var_os(PASSCODE))
    }

    fn given(&self, variable: Option<OsString>) -> Result<Option<String>, String> {
        if self.passcode.is_some() || self.login.is_none() {
            return Ok(self.passcode.clone());
        }
        let given = variable.map(OsString::into_string);
        given.transpose().map_err(|_| format!("{PASSCODE}: the value of the variable is not UTF-8; write it as such"))
    }
}

impl fmt::Debug for Credentials {
    /// Shows who, and not by what.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("login", &self.login).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        credentials: Credentials,
    }

    #[test]
    fn the_passcode_is_the_options_or_the_variables() {
        let given = |arguments: &[&str], variable: Option<&str>| {
            let command = Command::parse_from([&["command"], arguments].concat());
            command.credentials.given(variable.map(OsString::from)).unwrap()
        };
        assert_eq!(given(&["--login", "ann"], Some("v")).as_deref(), Some("v"));
        assert_eq!(given(&["--login", "ann", "--passcode", "p"], Some("v")).as_deref(), Some("p"));
        assert_eq!(given(&["--login", "ann"], None), None);
        assert_eq!(given(&[], Some("v")), None, "nobody logs in");
    }
}
